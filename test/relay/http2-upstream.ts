import { once } from 'node:events'
import {
  createSecureServer,
  type Http2SecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { createSecureContext } from 'node:tls'
import { onTestFinished } from 'vitest'
import type { Answer, Incoming } from '../../src/relay/answer.ts'
import { type Outbound, type Outcome, relay } from '../../src/relay/http.ts'
import { type Limits, Upstream } from '../../src/relay/upstream.ts'
import { createDialer } from '../../src/wire/dial.ts'
import { makeAuthority } from '../support/certificates.ts'
import { always, ranges } from '../wire/upstreams.ts'

const authority = await makeAuthority()
/** Of api.test, and trusted. */
export const identity = await authority.issue(['api.test'])

type Play = (stream: ServerHttp2Stream, path: string, headers: IncomingHttpHeaders) => void

/** A real HTTP/2 server, which plays one script for each stream. */
export async function http2Server(play: Play, settings: { readonly maxConcurrentStreams?: number } = {}) {
  const server = createSecureServer({ ...identity, settings })
  let connections = 0
  const sessions = new Set<{ destroy(): void }>()
  server.on('session', (session) => {
    connections++
    sessions.add(session)
    session.on('error', () => undefined)
  })
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => undefined)
    play(stream, headers[':path'] ?? '', headers)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => closing(server, sessions))
  // The server listens on TCP, so it has an AddressInfo.
  return { port: (server.address() as AddressInfo).port, connections: () => connections }
}

async function closing(server: Http2SecureServer, sessions: ReadonlySet<{ destroy(): void }>): Promise<void> {
  for (const session of sessions) session.destroy()
  await new Promise((resolve) => server.close(resolve))
}

const LIMITS: Limits = {
  connectTimeoutMs: 5_000,
  responseTimeoutMs: 5_000,
  idleTimeoutMs: 5_000,
  maxConcurrent: 256,
  maxTunnels: 256,
  maxRequestBytes: 10_000_000,
  tunnelTimeoutMs: 5_000,
}

/** An upstream that offers HTTP/2 to a server on this port, called api.test. */
export function upstreamAt(port: number, limits: Partial<Limits> = {}): Upstream {
  const context = createSecureContext({ ca: authority.certPem })
  const upstream = new Upstream({
    dialer: createDialer({ resolver: always(['127.0.0.1']) }),
    port,
    tls: () => context,
    allowPrivate: ranges(['127.0.0.0', 8]),
    http2: true,
    limits: { ...LIMITS, ...limits },
  })
  onTestFinished(() => upstream.destroy())
  return upstream
}

/** What a caller got. */
export class Collected implements Answer {
  status = 0
  fields: readonly string[] = []
  body = Buffer.alloc(0)
  trailers: readonly string[] | undefined
  ended: 'whole' | 'broken' | undefined
  #drain = () => {}
  #gone = () => {}
  readonly #isSlow: boolean

  /** `isSlow`: every byte that is written is one too many, for a while. */
  constructor(isSlow = false) {
    this.#isSlow = isSlow
  }

  get hasStarted(): boolean {
    return this.status !== 0
  }

  hint(): void {}

  start(status: number, _text: string, fields: readonly string[]): void {
    this.status = status
    this.fields = fields
  }

  write(chunk: Buffer): boolean {
    this.body = Buffer.concat([this.body, chunk])
    if (!this.#isSlow) return true
    setTimeout(() => this.#drain(), 5)
    return false
  }

  end(trailers?: readonly string[]): void {
    this.trailers = trailers
    this.ended = 'whole'
  }

  break(): void {
    this.ended = 'broken'
  }

  onDrain(listener: () => void): void {
    this.#drain = listener
  }

  onGone(listener: () => void): void {
    this.#gone = listener
  }

  leave(): void {
    this.#gone()
  }
}

/** No body. */
const NOTHING: Incoming = { framing: { body: 'none' }, stream: Readable.from([]), proceed: () => undefined }

/** A body of unknown length. */
export function uploading(stream: Readable): Incoming {
  return { framing: { body: 'chunked' }, stream, proceed: () => undefined }
}

type Wish = Partial<Outbound> & { readonly caller?: string; readonly answer?: Answer }

/** Asks for a path of it through the relay. */
export function ask(upstream: Upstream, path: string, wish: Wish = {}): Promise<Outcome> {
  const { caller = 'checkout', answer = new Collected(), ...more } = wish
  const outbound: Outbound = {
    sender: upstream.sender(caller, 'api.test'),
    method: more.incoming ? 'POST' : 'GET',
    path,
    fields: ['Host', upstream.authority('api.test'), 'X-Own', 'yes'],
    incoming: NOTHING,
    maxRequestBytes: upstream.limits.maxRequestBytes,
    idleTimeoutMs: upstream.limits.idleTimeoutMs,
    relayChallenge: false,
    wants: () => true,
    ...more,
  }
  return relay(outbound, answer)
}
