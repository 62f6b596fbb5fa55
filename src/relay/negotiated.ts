import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { buildConnector, Dispatcher, Pool } from 'undici'
import { Problem } from '../core/problem.ts'
import { Http2Session, type Patience } from './http2-session.ts'
import type { Sender } from './sender.ts'

/** How to reach one host for one caller. */
export interface Negotiation extends Patience {
  readonly origin: string
  /** Dials, and offers these protocols, the best one first. */
  dial(protocols: readonly string[]): Promise<Socket>
  /** A pool of HTTP/1 connections, which are made by `connect`. */
  http1(connect: buildConnector.connector): Pool
}

/**
 * Speaks HTTP/2 where the upstream chooses it, and HTTP/1 through undici where it does not. undici's own HTTP/2 will not
 * do: of an answer with trailers, read under back-pressure, 8.12 lost 29 000 of 30 000 bytes, and it reports the end of an
 * answer that was reset.
 */
export class Negotiated implements Sender {
  readonly #negotiation: Negotiation
  readonly #sessions = new Set<Http2Session>()
  readonly #http1: Pool
  /** Dialled to find out; the pool's first connection when it turned out to be HTTP/1. */
  #spare: Socket | undefined
  #choosing: Promise<Sender> | undefined
  /** Requests that wait until it is known what is spoken. */
  #undecided = 0
  #isDestroyed = false

  constructor(negotiation: Negotiation) {
    this.#negotiation = negotiation
    this.#http1 = negotiation.http1((_options, callback) => void this.#connectHttp1(callback))
  }

  get stats(): Sender['stats'] {
    const { connected, pending } = this.#http1.stats
    return { connected: connected + this.#sessions.size, pending: pending + this.#undecided }
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    const ready = this.#ready()
    if (ready) this.#hand(options, handler, ready)
    else {
      this.#undecided++
      this.#choose().then(
        (sender) => this.#decided(options, handler, sender),
        (error: Error) => {
          this.#undecided--
          handler.onResponseError?.(NOT_SENT, error)
        },
      )
    }
  }

  /** Many may have waited for it, and those before have filled it. */
  #decided(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler, sender: Sender): void {
    this.#undecided--
    if (isFull(sender)) this.dispatch(options, handler)
    else this.#hand(options, handler, sender)
  }

  /** Whoever waits for a connection still gets it. */
  async close(): Promise<void> {
    await this.#choosing?.catch(() => undefined)
    await Promise.all([this.#http1.close(), ...[...this.#sessions].map((session) => session.close())])
  }

  async destroy(): Promise<void> {
    this.#isDestroyed = true
    this.#spare?.destroy()
    await Promise.all([this.#http1.destroy(), ...[...this.#sessions].map((session) => session.destroy())])
  }

  #hand(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler, sender: Sender): void {
    sender.dispatch(sender === this.#http1 ? withoutTe(options) : options, handler)
  }

  /** An upstream without any HTTP/1 connection is asked anew what it speaks: it may have learned more. */
  #ready(): Sender | undefined {
    for (const session of this.#sessions) if (session.hasRoom) return session
    const { connected, pending, running } = this.#http1.stats
    return connected + pending + running > 0 ? this.#http1 : undefined
  }

  /** All who wait share one dial. */
  #choose(): Promise<Sender> {
    this.#choosing ??= this.#open().finally(() => (this.#choosing = undefined))
    return this.#choosing
  }

  async #open(): Promise<Sender> {
    const { origin, dial } = this.#negotiation
    const socket = await dial(['h2', 'http/1.1'])
    if (this.#isDestroyed) {
      socket.destroy()
      throw new Problem('upstream-unreachable', { reason: 'dialled while everything was being closed' })
    }
    if (!(socket instanceof TLSSocket) || socket.alpnProtocol !== 'h2') {
      this.#spare = socket
      return this.#http1
    }
    const session = new Http2Session(socket, origin, this.#negotiation)
    await session.greeted()
    this.#sessions.add(session)
    session.onClose(() => this.#sessions.delete(session))
    return session
  }

  async #connectHttp1(callback: buildConnector.Callback): Promise<void> {
    const dialled = await this.#spareOrNew().catch((error: Error) => error)
    if (dialled instanceof Error) callback(dialled, null)
    else callback(null, dialled)
  }

  /** Asynchronous in any case: undici forgets its queue when it is called back at once. */
  async #spareOrNew(): Promise<Socket> {
    const spare = this.#spare
    this.#spare = undefined
    return spare && !spare.destroyed ? spare : this.#negotiation.dial(['http/1.1'])
  }
}

function isFull(sender: Sender): boolean {
  return sender instanceof Http2Session && sender.isOpen && !sender.hasRoom
}

/** A field of HTTP/2's alone; in HTTP/1 it would have to be named by Connection. @see RFC 9110 section 10.1.4 */
function withoutTe(options: Dispatcher.DispatchOptions): Dispatcher.DispatchOptions {
  // `relay` gives a flat list; the type has undici's other forms too.
  const fields = options.headers as readonly string[]
  const headers: string[] = []
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]?.toLowerCase() !== 'te') headers.push(fields[at] ?? '', fields[at + 1] ?? '')
  }
  return { ...options, headers }
}

/** Of a request for which there never was a connection. */
const NOT_SENT: Dispatcher.DispatchController = {
  aborted: true,
  paused: false,
  reason: null,
  abort: () => undefined,
  pause: () => undefined,
  resume: () => undefined,
}
