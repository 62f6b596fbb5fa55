import { type ClientHttp2Session, type ClientHttp2Stream, connect, type SecureClientSessionOptions } from 'node:http2'
import type { Socket } from 'node:net'
import type { Dispatcher } from 'undici'
import { Problem, type ProblemCode } from '../core/problem.ts'
import { Http2Request } from './http2-stream.ts'
import type { Sender } from './sender.ts'
import { announceSocket } from './socket-of.ts'

/** In ms. */
export interface Patience {
  readonly headersTimeoutMs: number
  readonly bodyTimeoutMs: number
}

const MAX_STREAMS = 100
const STREAM_WINDOW = 128 * 1024
const IDLE_MS = 60_000

const OPTIONS: SecureClientSessionOptions & { readonly strictSingleValueFields: boolean } = {
  settings: { enablePush: false, initialWindowSize: STREAM_WINDOW, maxHeaderListSize: 16 * 1024 },
  peerMaxConcurrentStreams: MAX_STREAMS,
  maxHeaderListPairs: 200,
  // No credential stays behind in a compression table.
  maxDeflateDynamicTableSize: 0,
  // Node would throw at a second ETag. The types know it of servers alone.
  strictSingleValueFields: false,
  maxSettings: 32,
  maxOutstandingPings: 10,
  maxSessionMemory: 10,
}

/** One HTTP/2 connection to an upstream. It belongs to one caller, like every connection. */
export class Http2Session implements Sender {
  readonly #session: ClientHttp2Session
  readonly #socket: Socket
  readonly #patience: Patience
  #streams = 0
  #isUsed = false
  #idle: NodeJS.Timeout

  /** `socket`: TLS that has agreed on "h2". */
  constructor(socket: Socket, origin: string, patience: Patience) {
    this.#socket = socket
    this.#patience = patience
    const session = connect(origin, { ...OPTIONS, createConnection: () => socket })
    this.#session = session
    // Every stream hears of it by itself.
    session.on('error', () => undefined)
    // One answer that nobody reads keeps its own window; the connection's is wide enough for all of them at once.
    session.once('connect', () => session.destroyed || session.setLocalWindowSize(STREAM_WINDOW * MAX_STREAMS))
    this.#idle = this.#startIdle()
  }

  get stats(): Sender['stats'] {
    return { connected: this.isOpen ? 1 : 0, pending: 0 }
  }

  /**
   * Resolves when the upstream has said how many streams it takes: before that, a burst would wait in line here.
   * @throws Problem `upstream-timeout`, `upstream-unreachable`
   */
  greeted(): Promise<void> {
    const session = this.#session
    return new Promise((resolve, reject) => {
      const fail = (code: ProblemCode) => {
        clearTimeout(late)
        session.destroy()
        reject(new Problem(code, { reason: 'the HTTP/2 handshake did not come to its end' }))
      }
      const late = setTimeout(() => fail('upstream-timeout'), this.#patience.headersTimeoutMs)
      session.once('close', () => fail('upstream-unreachable'))
      session.once('remoteSettings', () => {
        clearTimeout(late)
        resolve()
      })
    })
  }

  get isOpen(): boolean {
    return !this.#session.closed && !this.#session.destroyed
  }

  /** At least one stream, whatever the upstream says: more wait in nghttp2, each under its own timeout. */
  get hasRoom(): boolean {
    const allowed = this.#session.remoteSettings?.maxConcurrentStreams ?? MAX_STREAMS
    return this.isOpen && this.#streams < Math.max(1, Math.min(allowed, MAX_STREAMS))
  }

  onClose(listener: () => void): void {
    this.#session.once('close', listener)
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    const request = new Http2Request(options, handler, {
      ...this.#patience,
      open: (options, signal) => this.#open(options, signal),
      // Streams in flight go on; what is asked next goes to a new connection.
      stalled: () => this.#session.close(),
      isCut: () => this.#socket.destroyed,
    })
    request.send(options)
  }

  /** Streams in flight finish first. */
  async close(): Promise<void> {
    clearTimeout(this.#idle)
    this.#session.close()
  }

  async destroy(): Promise<void> {
    clearTimeout(this.#idle)
    this.#session.destroy()
  }

  #open({ method, path, headers, body }: Dispatcher.DispatchOptions, signal: AbortSignal): ClientHttp2Stream {
    announceSocket(this.#socket, this.#isUsed)
    // `relay` gives a flat list; the type has undici's other forms too.
    const fields = headers as readonly string[]
    const stream = this.#session.request(headOf(method, path, fields), { endStream: body === null, signal })
    this.#isUsed = true
    this.#streams++
    clearTimeout(this.#idle)
    stream.once('close', () => this.#left())
    return stream
  }

  #left(): void {
    this.#streams--
    if (this.#streams === 0) this.#idle = this.#startIdle()
  }

  #startIdle(): NodeJS.Timeout {
    return setTimeout(() => this.#session.close(), IDLE_MS).unref()
  }
}

/** @see RFC 9113 section 8.3.1 */
function headOf(method: string, path: string, fields: readonly string[]): string[] {
  const head = [':method', method, ':scheme', 'https', ':authority', '', ':path', path]
  for (let at = 0; at < fields.length; at += 2) {
    const name = (fields[at] ?? '').toLowerCase()
    const value = fields[at + 1] ?? ''
    if (name === 'host') head[5] = value
    else head.push(name, value)
  }
  return head
}
