import { randomBytes } from 'node:crypto'
import { expect } from 'vitest'
import { makeAuthority } from '../support/certificates.ts'
import { type RawAnswer, sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import {
  eventually,
  privateDirectory,
  type Running,
  reloadSallyport,
  remove,
  startSallyport,
  writeSecret,
} from '../support/sallyport.ts'
import { OK, type RawUpstream, type Step, startUpstream } from '../support/upstream.ts'
import { type Message, readMessages } from './messages.ts'

/** A request on its way in: through the forward door, or through a reverse one on a Unix socket. */
export type Carrier = 'forward' | 'reverse'
export const CARRIERS: readonly Carrier[] = ['forward', 'reverse']

/** A sidecar under attack, and the recording upstream behind all of its connections. */
export interface Siege {
  readonly sallyport: Running
  readonly upstream: RawUpstream
  /** Doors: the proxy, the socket of `api`, and a port for all connections by first path segment. */
  readonly forward: string
  readonly reverse: string
  readonly port: string
  readonly directory: string
  /** What callers hold, by caller: worthless anywhere else, and never to be seen upstream. */
  readonly keys: Readonly<Record<'alpha' | 'beta', string>>
  /** What the upstream is to be shown, by connection, and nobody else. */
  readonly credentials: Readonly<Record<string, string>>
  /** Bytes of a template: `⏎` is CR LF, `{T}` the start of a target, `{H}` Host and proof, `{P}` the proof alone. */
  bytes(carrier: Carrier, template: string): Buffer
  address(carrier: Carrier): string
  /** Sends bytes, then has somebody else served as if nothing had been; says what the caller and the upstream saw. */
  attack(address: string, bytes: string | Buffer, wait?: Wait): Promise<Sight>
  /** The same of anything else that an attacker may do. */
  watch<T>(deed: () => Promise<T>): Promise<Omit<Sight, keyof RawAnswer> & { readonly result: T }>
  /** Changes its settings while it runs. */
  reload(change: (settings: Settled) => object): Promise<void>
  /** The audit entries of these paths, once there are as many. */
  entries(path: RegExp, count: number): Promise<Record<string, unknown>[]>
  end(): Promise<void>
}

/** The settings that it was started with. */
export interface Settled {
  readonly [name: string]: unknown
  readonly grants: readonly Readonly<Record<string, unknown>>[]
}

type Wait = NonNullable<Parameters<typeof sendRaw>[2]>

/** What both sides saw of one attack. */
export interface Sight extends RawAnswer {
  /** Whole requests that the upstream was sent. */
  readonly requests: readonly Message[]
  /** Every byte that it was sent. */
  readonly sent: string
}

interface Options {
  readonly script?: (path: string, head: string) => readonly Step[] | undefined
  readonly env?: NodeJS.ProcessEnv
  /** Further settings, by what the siege has made. */
  readonly settings?: (made: Made) => Record<string, object>
}

interface Made {
  readonly directory: string
  readonly port: number
  /** A connection to the recording upstream, with a credential of its own. */
  connection(name: string, hosts: readonly string[], rest?: object): object
}

const HOSTS = ['api.test', 'b.test', 'a_b.test', '*.x.test', 'scoped.test', 'query.test', 'ws.test', 'none.test']

/** Starts an upstream and a sidecar of their own. */
export async function besiege(options: Options = {}): Promise<Siege> {
  const directory = privateDirectory()
  const keys = { alpha: secret('key'), beta: secret('key') }
  const credentials: Record<string, string> = {}
  const authority = await makeAuthority()
  const script = options.script ?? (() => undefined)
  const upstream = await startUpstream(
    (head) => script(head.split(' ', 2)[1] ?? '', head) ?? OK,
    await authority.issue([...HOSTS, 'a.b.x.test', 'near.test']),
  )
  writeSecret(directory, 'ca.pem', authority.certPem)
  for (const [name, key] of Object.entries(keys)) writeSecret(directory, name, key)
  const connection: Made['connection'] = (name, hosts, rest = {}) => {
    credentials[name] = secret(`credential-${name}`)
    writeSecret(directory, `for-${name}`, credentials[name])
    return {
      hosts,
      port: upstream.port,
      tls: { ca: { file: 'ca.pem' } },
      allowPrivate: ['127.0.0.0/8'],
      credential: { kind: 'static', secret: { file: `for-${name}` } },
      ...rest,
    }
  }
  const more = options.settings?.({ directory, port: upstream.port, connection }) ?? {}
  const settings = settingsOf(connection, more)
  const sallyport = await startSallyport(directory, settings, { env: options.env ?? {} })
  return new Camp({ directory, keys, credentials, upstream, sallyport, settings })
}

function settingsOf(connection: Made['connection'], more: Record<string, object>): Settled {
  const { connections = {}, grants = [], callers = {}, allowlist = [], listeners = [], hosts = {}, ...rest } = more
  return {
    listeners: [
      { kind: 'forward', listen: '127.0.0.1:0' },
      { kind: 'reverse', listen: 'unix:api.sock', connection: 'api' },
      { kind: 'reverse', listen: '127.0.0.1:0' },
      ...(listeners as object[]),
    ],
    admin: { listen: '127.0.0.1:0' },
    allowlist: [...HOSTS, ...(allowlist as string[])],
    callers: {
      alpha: { kind: 'api-key', key: { file: 'alpha' } },
      beta: { kind: 'api-key', key: { file: 'beta' } },
      ...callers,
    },
    connections: {
      api: connection('api', ['api.test']),
      b: connection('b', ['b.test', 'a_b.test']),
      ...connections,
    },
    grants: [
      { caller: 'alpha', connection: 'api' },
      { caller: 'alpha', connection: 'b' },
      { caller: 'beta', connection: 'api' },
      ...(grants as Settled['grants']),
    ],
    dns: { hosts: { ...Object.fromEntries(HOSTS.map((host) => [host.replace('*', 'a'), ['127.0.0.1']])), ...hosts } },
    ...rest,
  }
}

function secret(name: string): string {
  return `${name}-${randomBytes(24).toString('hex')}`
}

/** All of them: one that was sent again may have been under way on the connection that it was first written to. */
const PROBE = /GET \/probe-\d+ HTTP\/1\.1\r\n[\s\S]*?\r\n\r\n/g

type Parts = Pick<Siege, 'directory' | 'keys' | 'credentials' | 'upstream' | 'sallyport'> & {
  readonly settings: Settled
}

class Camp implements Siege {
  readonly directory
  readonly keys
  readonly credentials
  readonly upstream
  readonly sallyport
  readonly #settings: Settled
  #probes = 0

  constructor({ directory, keys, credentials, upstream, sallyport, settings }: Parts) {
    this.directory = directory
    this.keys = keys
    this.credentials = credentials
    this.upstream = upstream
    this.sallyport = sallyport
    this.#settings = settings
  }

  get forward(): string {
    return this.address('forward')
  }

  get reverse(): string {
    return this.address('reverse')
  }

  get port(): string {
    return this.sallyport.doors[2]?.address ?? ''
  }

  address(carrier: Carrier): string {
    return this.sallyport.doors[carrier === 'forward' ? 0 : 1]?.address ?? ''
  }

  bytes(carrier: Carrier, template: string): Buffer {
    const isForward = carrier === 'forward'
    const basic = Buffer.from(`alpha:${this.keys.alpha}`).toString('base64')
    const proof = isForward ? `Proxy-Authorization: Basic ${basic}⏎` : `Authorization: Bearer ${this.keys.alpha}⏎`
    const text = template
      .replaceAll('{H}', `Host: ${isForward ? 'api.test' : 'localhost'}⏎{P}`)
      .replaceAll('{P}', proof)
      .replaceAll('{T}', isForward ? 'http://api.test' : '')
      .replaceAll('⏎', '\r\n')
    return Buffer.from(text, 'latin1')
  }

  async attack(address: string, bytes: string | Buffer, wait?: Wait): Promise<Sight> {
    const { result, ...seen } = await this.watch(() => sendRaw(address, bytes, wait))
    return { ...result, ...seen }
  }

  async watch<T>(deed: () => Promise<T>) {
    const before = this.upstream.connections.map(({ bytes }) => bytes.length)
    const result = await deed()
    await this.#serveSomebodyElse()
    const perConnection = this.upstream.connections.map(({ bytes }, at) =>
      bytes.slice(before[at] ?? 0).replace(PROBE, ''),
    )
    return {
      result,
      sent: perConnection.join(''),
      requests: perConnection.flatMap((bytes) => readMessages(bytes).messages),
    }
  }

  /** An attack that hangs the process, ends it, or leaves poison in a pool shows here. */
  async #serveSomebodyElse(): Promise<void> {
    const path = `/probe-${this.#probes++}`
    const basic = Buffer.from(`alpha:${this.keys.alpha}`).toString('base64')
    const head = `GET http://api.test${path} HTTP/1.1\r\nHost: api.test\r\nProxy-Authorization: Basic ${basic}\r\n\r\n`
    const answer = await sendRaw(this.forward, head, { until: WHOLE_ANSWER })
    expect(
      answer.text,
      `an honest request afterwards; the sidecar said:\n${this.sallyport.output().slice(-2000)}`,
    ).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nok$/)
  }

  reload(change: (settings: Settled) => object): Promise<void> {
    return reloadSallyport(this.sallyport, change(this.#settings))
  }

  entries(path: RegExp, count: number): Promise<Record<string, unknown>[]> {
    return eventually(async () => {
      const found = (await this.sallyport.audit(1)).filter((entry) => path.test(String(entry['path'])))
      return found.length >= count ? found : undefined
    }, `${count} entries of ${path}`)
  }

  async end(): Promise<void> {
    const code = await this.sallyport.stop()
    await this.upstream.close()
    remove(this.directory)
    expect(code).toBe(0)
  }
}

/** Nothing went up, the caller got one refusal, and the connection is closed. */
export function expectRefused(sight: Sight, statuses: readonly number[]): void {
  expect(sight.sent).toBe('')
  expect(statuses, sight.text).toContain(sight.status)
  expect(sight.text.match(/HTTP\/1\.1 \d{3} /g)).toHaveLength(1)
  expect(sight.closed, 'the connection is closed').toBe(true)
}

/** The values of a field in a head. */
export function valuesIn(head: string, name: string): string[] {
  return [...head.matchAll(new RegExp(`^${name}:[ \\t]*(.*?)\\r$`, 'gim'))].map(([, value = '']) => value)
}
