import { randomBytes } from 'node:crypto'
import { onTestFinished } from 'vitest'
import { type Authority, makeAuthority } from '../support/certificates.ts'
import { open, type RawAnswer, sendRaw } from '../support/raw-client.ts'
import { privateDirectory, type Running, remove, startSallyport, writeSecret } from '../support/sallyport.ts'

/** What Sallyport injects, and nobody else may see. */
export const CREDENTIAL = `credential-${randomBytes(16).toString('hex')}`
/** What the caller `checkout` shows, and no upstream may see. */
export const CALLER_KEY = `caller-${randomBytes(16).toString('hex')}`
/** The caller's proof as one field of a raw request to a forward door. */
export const PROOF = `Proxy-Authorization: Basic ${Buffer.from(`checkout:${CALLER_KEY}`).toString('base64')}\r\n`

/** One authority for a test file: making keys takes time. */
export const authority: Authority = await makeAuthority()

interface Wishes {
  /** Of the upstream. */
  readonly port: number
  /** Further settings of the connection `crm`. */
  readonly connection?: object
  /** Instead of, or beside, the usual settings. */
  readonly settings?: object
  readonly env?: NodeJS.ProcessEnv
  readonly nodeFlags?: readonly string[]
}

/** A connection to `host` on this port, with a static credential, as settings say it. */
export function connectionTo(host: string, port: number, more: object = {}): object {
  return {
    hosts: [host],
    port,
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: ['127.0.0.0/8'],
    credential: { kind: 'static', secret: { file: 'credential' } },
    ...more,
  }
}

/** A private directory with the files that the settings of these stories refer to. */
export function crmDirectory(): string {
  const directory = privateDirectory()
  writeSecret(directory, 'credential', CREDENTIAL)
  writeSecret(directory, 'checkout', CALLER_KEY)
  writeSecret(directory, 'ca.pem', authority.certPem)
  return directory
}

/** The usual settings: a forward door, a reverse door on a socket, and the connection `crm`, which `checkout` may use. */
export function crmSettings({ port, connection, settings }: Wishes): object {
  return {
    listeners: [
      { kind: 'forward', listen: '127.0.0.1:0' },
      { kind: 'reverse', listen: 'unix:crm.sock', connection: 'crm' },
    ],
    admin: { listen: '127.0.0.1:0' },
    allowlist: ['api.crm.test'],
    callers: { checkout: { kind: 'api-key', key: { file: 'checkout' } } },
    connections: { crm: connectionTo('api.crm.test', port, connection) },
    grants: [{ caller: 'checkout', connection: 'crm' }],
    dns: { hosts: { 'api.crm.test': ['127.0.0.1'] } },
    ...settings,
  }
}

/** A running sidecar with the usual settings, in a directory of its own. */
export function startCrm(wishes: Wishes): Promise<Running> {
  const { env = {}, nodeFlags = [] } = wishes
  return startSallyport(crmDirectory(), crmSettings(wishes), { env, nodeFlags })
}

/** The same for one test alone. */
export async function startCrmForTest(wishes: Wishes): Promise<Running> {
  const running = await startCrm(wishes)
  onTestFinished(() => stopCrm(running))
  return running
}

/** Ends it, whatever state it is in. */
export async function stopCrm(running: Running | undefined): Promise<void> {
  await running?.stop('SIGKILL')
  if (running) remove(running.directory)
}

/** The address of the first door of a kind. */
export function doorOf(running: Running, kind: 'forward' | 'reverse' | 'transparent'): string {
  return running.doors.find((door) => door.kind === kind)?.address ?? 'none'
}

/** A raw request of `checkout` as the forward door reads it. `more`: fields and body. */
export function forwardRequest(method: string, path: string, more = '\r\n'): string {
  return `${method} http://api.crm.test${path} HTTP/1.1\r\nHost: api.crm.test\r\n${PROOF}${more}`
}

/** A raw request of `checkout` as the reverse door reads it. */
export function reverseRequest(method: string, path: string, more = '\r\n'): string {
  return `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${CALLER_KEY}\r\n${more}`
}

/** Sends a GET through the forward door and reads until the answer is whole. */
export function getThrough(running: Running, path: string, until: RegExp): Promise<RawAnswer> {
  return sendRaw(doorOf(running, 'forward'), forwardRequest('GET', path), { until })
}

/** What the admin door says. */
export interface AdminAnswer {
  readonly status: number
  readonly text: string
  readonly json: unknown
}

/** Asks the admin door. */
export async function askAdmin(
  running: Pick<Running, 'admin'>,
  path: string,
  host = 'localhost',
): Promise<AdminAnswer> {
  const address = running.admin ?? ''
  const { status, text } = await sendRaw(address, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  const body = text.slice(text.indexOf('\r\n\r\n') + 4)
  return { status, text, json: body.startsWith('{') ? JSON.parse(body) : undefined }
}

/** An open raw connection with what has come back so far; it is closed with the test. */
export interface Line {
  readonly socket: ReturnType<typeof open>
  text(): string
  /** How it ended, once it has. */
  ended(): 'clean' | 'reset' | undefined
}

/** Sends bytes and keeps the connection open. */
export function hold(address: string, bytes: string): Line {
  const socket = open(address)
  let text = ''
  let isReset = false
  let isClosed = false
  socket.on('data', (chunk) => (text += chunk.toString('latin1')))
  socket.on('error', () => (isReset = true))
  socket.on('close', () => (isClosed = true))
  socket.write(Buffer.from(bytes, 'latin1'))
  onTestFinished(() => void socket.destroy())
  const how = () => (isReset ? 'reset' : 'clean')
  return { socket, text: () => text, ended: () => (isClosed ? how() : undefined) }
}
