import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { Browser, linkOf, type Page } from '../support/browser.ts'
import { type LoginServer, startLoginServer } from '../support/login-server.ts'
import { freePort } from '../support/ports.ts'
import { type RawAnswer, sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import { privateDirectory, type Running, remove, startSallyport, writeSecret } from '../support/sallyport.ts'
import { OK, type RawUpstream, startUpstream } from '../support/upstream.ts'
import { authority, connectionTo } from './crm.ts'

/** A sidecar whose connections act for people, the issuer that knows them, and the API that they are for. */
export interface LoginSite {
  readonly issuer: LoginServer
  readonly upstream: RawUpstream
  sallyport: Running
  readonly directory: string
  readonly adminAddress: string
  /** Starts the sidecar again, on the same store. */
  restart(): Promise<void>
  /** Asks for a page of a connection, as this caller. */
  ask(caller: string, connection: string, path?: string): Promise<RawAnswer>
  /** Whose token reached the upstream last. */
  lastSubject(): string | undefined
  close(): Promise<void>
}

export const CALLERS = ['ann-agent', 'bob-agent'] as const
const SECRET = 'secret-of-the-client'

export async function openLoginSite(): Promise<LoginSite> {
  const port = await freePort()
  let latest = ''
  const upstream = await startUpstream(
    (request) => {
      latest = request
      return request.startsWith('GET /rejects') ? [{ send: REJECTION }] : OK
    },
    await authority.issue(['own.test', 'all.test', 'brief.test']),
  )
  const names = ['own', 'all', 'brief']
  const clients = names.map((name) => ({
    id: name,
    secret: SECRET,
    redirectUris: [`http://127.0.0.1:${port}/login/${name}/callback`],
  }))
  const issuer = await startLoginServer({ authority, clients })
  const directory = privateDirectory()
  for (const [name, value] of [
    ['client', SECRET],
    ['operator', OPERATOR_KEY],
    ['store-key', Buffer.alloc(32, 7).toString('base64')],
    ['ca.pem', authority.certPem],
    ...CALLERS.map((caller) => [caller, `key-of-${caller}`] as const),
  ] as const)
    writeSecret(directory, name, value)
  const settings = settingsFor({ upstream, issuer, port })
  const site: LoginSite = {
    issuer,
    upstream,
    directory,
    adminAddress: `http://127.0.0.1:${port}`,
    sallyport: await startSallyport(directory, settings),
    async restart() {
      await site.sallyport.stop()
      site.sallyport = await startSallyport(directory, settings)
    },
    ask: (caller, connection, path = '/1') => askAs({ caller, connection, path }, site.sallyport),
    lastSubject: () => subjectOf(latest),
    async close() {
      await site.sallyport.stop('SIGKILL')
      await upstream.close()
      await issuer.stop()
      remove(directory)
    },
  }
  return site
}

/** What the CLI and the tests show at the admin door. */
export const OPERATOR_KEY = 'key-of-the-operator-ops'

const REJECTION = 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nok'

interface Parts {
  readonly upstream: RawUpstream
  readonly issuer: LoginServer
  readonly port: number
}

function settingsFor({ upstream, issuer, port }: Parts): object {
  const credential = (clientId: string, more: object) => ({
    kind: 'authorization-code',
    issuer: issuer.issuer,
    clientId,
    clientSecret: { file: 'client' },
    scope: 'openid offline_access read',
    authorizationParams: { prompt: 'consent' },
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: ['127.0.0.0/8'],
    ...more,
  })
  const connections = {
    own: connectionTo('own.test', upstream.port, { credential: credential('own', { identity: 'per-caller' }) }),
    all: connectionTo('all.test', upstream.port, { credential: credential('all', {}) }),
    brief: connectionTo('brief.test', upstream.port, { credential: credential('brief', { scope: 'openid read' }) }),
  }
  const hosts = Object.keys(connections).map((name) => `${name}.test`)
  return {
    listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
    admin: {
      listen: `127.0.0.1:${port}`,
      operators: { ops: { role: 'admin', proof: { kind: 'api-key', key: { file: 'operator' } } } },
    },
    allowlist: hosts,
    callers: Object.fromEntries(CALLERS.map((name) => [name, { kind: 'api-key', key: { file: name } }])),
    connections,
    grants: CALLERS.flatMap((caller) => Object.keys(connections).map((connection) => ({ caller, connection }))),
    store: { kind: 'sqlite', path: 'store/logins.db', key: { file: 'store-key' } },
    dns: { hosts: Object.fromEntries([...hosts, 'login.test'].map((host) => [host, ['127.0.0.1']])) },
  }
}

interface Asking {
  readonly caller: string
  readonly connection: string
  readonly path: string
}

function askAs({ caller, connection, path }: Asking, { doors }: Running): Promise<RawAnswer> {
  const proof = Buffer.from(`${caller}:key-of-${caller}`).toString('base64')
  const head = `GET http://${connection}.test${path} HTTP/1.1\r\nHost: ${connection}.test\r\n`
  return sendRaw(doors[0]?.address ?? '', `${head}Proxy-Authorization: Basic ${proof}\r\n\r\n`, { until: WHOLE_ANSWER })
}

function subjectOf(head: string | undefined): string | undefined {
  const [, payload] = /^authorization: Bearer [^.\s]+\.([^.\s]+)\./im.exec(head ?? '') ?? []
  if (payload === undefined) return undefined
  const { sub }: { sub: string } = JSON.parse(Buffer.from(payload, 'base64url').toString())
  return sub
}

/** The address in an answer of 403 `login-required`. */
export function loginUrlIn({ text }: RawAnswer): string {
  const [, url = ''] = /Please login first to the connection by visiting ([^"\s]+)/.exec(text) ?? []
  return url
}

/** Goes all the way from a link of ours to the page after the consent. */
export async function logIn(url: string, account: string, browser = newBrowser()): Promise<Page> {
  const asked = await browser.visit(linkOf(await browser.visit(url)))
  return browser.consent(asked, account)
}

export function newBrowser(): Browser {
  return new Browser(authority.certPem)
}

/** Runs a verb as the operator; what is on standard error is told as it comes, so that somebody can react to it. */
export async function runVerb(
  site: Pick<LoginSite, 'directory' | 'adminAddress'>,
  args: readonly string[],
  onError: (said: string, input: (line: string) => void) => void = () => undefined,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const cli = new URL('../../src/cli.ts', import.meta.url).pathname
  const door = ['--admin', site.adminAddress, '--token-file', `${site.directory}/operator`]
  const { NODE_OPTIONS: _unused, ...env } = process.env
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', cli, ...args, ...door], {
    env: { ...env, PATH: '/nonexistent' },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
    onError(stderr, (line) => child.stdin.write(`${line}\n`))
  })
  const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
  return { code, stdout, stderr }
}
