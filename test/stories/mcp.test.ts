import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { ListRootsRequestSchema, ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { Agent, fetch, ProxyAgent } from 'undici'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type RunningAuthorizationServer, startAuthorizationServer } from '../support/authorization-server.ts'
import { type LoginServer, startLoginServer } from '../support/login-server.ts'
import { type McpSite, startMcpServer } from '../support/mcp-server.ts'
import { freePort } from '../support/ports.ts'
import {
  eventually,
  privateDirectory,
  type Running,
  remove,
  startSallyport,
  writeSecret,
} from '../support/sallyport.ts'
import { authority, connectionTo } from './crm.ts'
import { logIn } from './login-site.ts'

/** The client of MCP as its SDK has it, through a sidecar that holds the tokens: it has none, and knows of none. */
const SECRET = 'secret-of-the-client'
const CALLERS = ['ann-agent', 'bob-agent'] as const
const RESOURCE = 'https://api.test'

let oidc: RunningAuthorizationServer
let login: LoginServer
let mcp: McpSite
let sallyport: Running
let directory: string

beforeAll(async () => {
  const port = await freePort()
  oidc = await startAuthorizationServer({ authority, host: 'oidc.test', clients: [{ id: 'm2m', secret: SECRET }] })
  const redirectUris = [`http://127.0.0.1:${port}/login/own/callback`]
  login = await startLoginServer({ authority, clients: [{ id: 'own', secret: SECRET, redirectUris }] })
  const judges = [await judgeOf(oidc.issuer), await judgeOf(login.issuer)]
  mcp = await startMcpServer(await authority.issue(['m2m.test', 'own.test']), async (token) => {
    const subjects = await Promise.all(judges.map((judge) => judge(token)))
    return subjects.find((subject) => subject !== undefined)
  })
  directory = privateDirectory()
  const key = Buffer.alloc(32, 7).toString('base64')
  const files = { client: SECRET, 'ca.pem': authority.certPem, 'store-key': key }
  for (const [name, text] of Object.entries(files)) writeSecret(directory, name, text)
  for (const caller of CALLERS) writeSecret(directory, caller, `key-of-${caller}`)
  sallyport = await startSallyport(directory, settingsFor(port))
})

afterAll(async () => {
  await sallyport?.stop('SIGKILL')
  await mcp?.stop()
  await login?.stop()
  await oidc?.stop()
  if (directory) remove(directory)
})

function settingsFor(port: number): object {
  const reach = { clientSecret: { file: 'client' }, tls: { ca: { file: 'ca.pem' } }, allowPrivate: ['127.0.0.0/8'] }
  const m2m = { kind: 'client-credentials', issuer: oidc.issuer, clientId: 'm2m', ...reach }
  const consent = { scope: 'openid offline_access read', authorizationParams: { prompt: 'consent' } }
  const own = { kind: 'authorization-code', issuer: login.issuer, clientId: 'own', identity: 'per-caller', ...consent }
  const connections = {
    m2m: connectionTo('m2m.test', mcp.port, { credential: m2m }),
    own: connectionTo('own.test', mcp.port, { credential: { ...own, ...reach } }),
  }
  const hosts = ['m2m.test', 'own.test']
  return {
    listeners: [
      { kind: 'reverse', listen: '127.0.0.1:0', connection: 'm2m' },
      { kind: 'reverse', listen: '127.0.0.1:0', connection: 'own' },
      { kind: 'forward', listen: '127.0.0.1:0' },
    ],
    admin: { listen: `127.0.0.1:${port}` },
    allowlist: hosts,
    callers: Object.fromEntries(CALLERS.map((name) => [name, { kind: 'api-key', key: { file: name } }])),
    connections,
    grants: CALLERS.flatMap((caller) => Object.keys(connections).map((connection) => ({ caller, connection }))),
    store: { kind: 'sqlite', path: 'store/logins.db', key: { file: 'store-key' } },
    dns: { hosts: Object.fromEntries([...hosts, 'oidc.test', 'login.test'].map((host) => [host, ['127.0.0.1']])) },
  }
}

/** Whom a token of this issuer is of, once its signature is found right. */
async function judgeOf(issuer: string): Promise<(token: string) => Promise<string | undefined>> {
  const dispatcher = new Agent({
    connect: { ca: authority.certPem, lookup: (_host, _options, done) => done(null, HERE) },
  })
  const { jwks } = { jwks: JSON.parse(await (await fetch(`${issuer}/jwks`, { dispatcher })).text()) }
  await dispatcher.close()
  const keys = createLocalJWKSet(jwks)
  return (token) =>
    jwtVerify(token, keys, { issuer, audience: RESOURCE }).then(
      ({ payload }) => payload.sub ?? String(payload['client_id']),
      () => undefined,
    )
}

const HERE = [{ address: '127.0.0.1', family: 4 }]

const WAYS = ['m2m', 'own', 'forward'] as const
type Way = (typeof WAYS)[number]

/** As an agent would have it: a base URL and a key of the sidecar, or a proxy. */
function transportOf(way: Way, caller: string): StreamableHTTPClientTransport {
  const address = `http://${sallyport.doors[WAYS.indexOf(way)]?.address}`
  const authorization = `Bearer key-of-${caller}`
  if (way !== 'forward')
    return new StreamableHTTPClientTransport(new URL(`${address}/mcp`), { requestInit: { headers: { authorization } } })
  const dispatcher = new ProxyAgent({ uri: address, token: authorization, proxyTunnel: false })
  onTestFinished(() => dispatcher.destroy())
  return new StreamableHTTPClientTransport(new URL('http://m2m.test/mcp'), {
    // undici's own fetch is the one that takes undici's dispatcher.
    fetch: (url, init) => fetch(url, { ...(init as object), dispatcher }),
  })
}

async function connect(way: Way, caller: string) {
  const transport = transportOf(way, caller)
  const client = new Client({ name: 'agent', version: '1.0.0' }, { capabilities: { roots: {} } })
  client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: `file:///home/${caller}` }] }))
  onTestFinished(() => client.close())
  await client.connect(transport)
  return { client, transport }
}

async function call(client: Client, name: string, onprogress?: (progress: number) => void): Promise<unknown> {
  const options = onprogress && { onprogress: ({ progress }: { readonly progress: number }) => onprogress(progress) }
  return (await client.callTool({ name }, undefined, options))['content']
}

const said = (text: string) => [{ type: 'text', text }]

async function logInAs(caller: string, person: string): Promise<void> {
  const problem: unknown = await connect('own', caller).catch((error: unknown) => error)
  const [, url = ''] = /Please login first to the connection by visiting ([^"\s\\]+)/.exec(String(problem)) ?? []
  expect((await logIn(url, person)).text).toContain('Logged in')
}

test('a caller who has not logged in is told where, in the error that its client gives', async () => {
  await logInAs('ann-agent', 'ann')
  await logInAs('bob-agent', 'bob')
})

describe.each([
  ['m2m', 'm2m'],
  ['own', 'ann'],
  ['forward', 'm2m'],
] as const)('through %s', (way, subject) => {
  test('it lists tools, and calls one as whom the token is of', async () => {
    const { client, transport } = await connect(way, 'ann-agent')
    const { tools } = await client.listTools()
    expect(tools.map(({ name }) => name)).toEqual(['whoami', 'count', 'roots', 'tell'])
    expect(await call(client, 'whoami')).toEqual(said(subject))
    await transport.terminateSession()
  })

  test('a stream of progress comes as it is sent, and ends in the answer', async () => {
    const { client } = await connect(way, 'ann-agent')
    const progress: number[] = []
    expect(await call(client, 'count', (at) => void progress.push(at))).toEqual(said('three'))
    expect(progress).toEqual([1, 2, 3])
  })

  test('the server asks back on the stream, and is answered', async () => {
    const { client } = await connect(way, 'ann-agent')
    expect(await call(client, 'roots')).toEqual(said('file:///home/ann-agent'))
  })

  test('news come on the stream that stays open', async () => {
    const { client } = await connect(way, 'ann-agent')
    let news = 0
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => void (news += 1))
    // What is told before the stream has been opened goes to nobody.
    await eventually(async () => {
      await call(client, 'tell')
      return news > 0 ? true : undefined
    }, 'news')
  })
})

test('two callers at once are two people', async () => {
  const [ann, bob] = await Promise.all([connect('own', 'ann-agent'), connect('own', 'bob-agent')])
  const answers = await Promise.all([1, 2, 3].flatMap(() => [call(ann.client, 'whoami'), call(bob.client, 'whoami')]))
  expect(answers).toEqual([1, 2, 3].flatMap(() => [said('ann'), said('bob')]))
})

test('no key of a caller reached the server, and no token is in the log or the audit', async () => {
  const heads = mcp.heads.flat().join('\n')
  expect(heads).not.toContain('key-of-')
  expect(heads).not.toMatch(/proxy-authorization/i)
  const tokens = mcp.heads.flatMap((head) => head.filter((value) => value.startsWith('Bearer ')))
  const written = sallyport.output() + readFileSync(join(directory, 'audit.jsonl'), 'utf8')
  expect(tokens.length).toBeGreaterThan(10)
  for (const token of new Set(tokens)) expect(written).not.toContain(token.slice('Bearer '.length))
  expect(written).not.toContain('key-of-')
})
