import type { Socket } from 'node:net'
import { Problem } from '../core/problem.ts'
import { codeOf } from '../wire/opening.ts'
import { breakOff } from './break-off.ts'
import type { Outcome } from './http.ts'

/** Two sockets to be joined, and for how long. They are the tunnel's to close. */
export interface TunnelTerms {
  readonly caller: Socket
  readonly upstream: Socket
  /** Ms without a byte either way, also after one side has finished. */
  readonly idleTimeoutMs: number
  /** Ms in all, however busy. */
  readonly maxMs: number
  /** Cuts the tunnel: a grant is over, or the process is to end. Its reason is a Problem. */
  readonly signal?: AbortSignal
}

/**
 * Passes bytes both ways, unread, under back-pressure; the end of one way leaves the other open. Never rejects, and
 * resolves when both sockets are closed, or when one is and the other is cut for it. `complete`: both ways came to their
 * end. `gone`: the caller broke off. `broken`: the upstream did, or a limit or the signal cut the tunnel; `problem` says
 * which.
 * @see RFC 9110 section 9.3.6
 */
export function relayTunnel(terms: TunnelTerms): Promise<Outcome> {
  return new Promise((resolve) => new Tunnel(terms, resolve).open())
}

type Verdict = Pick<Outcome, 'ended' | 'problem'>

/** setTimeout takes more for 1 ms. */
const LONGEST_MS = 2 ** 31 - 1

class Tunnel {
  readonly #terms: TunnelTerms
  readonly #resolve: (outcome: Outcome) => void
  readonly #upstreamAddress: string | undefined
  /** What had gone out on these sockets before: the 200 to the CONNECT, for one. */
  readonly #before: { readonly toUpstream: number; readonly toCaller: number }
  #openSockets = 2
  #age: NodeJS.Timeout | undefined
  #passedWhenQuiet: number | undefined
  #verdict: Verdict | undefined

  constructor(terms: TunnelTerms, resolve: (outcome: Outcome) => void) {
    this.#terms = terms
    this.#resolve = resolve
    this.#upstreamAddress = terms.upstream.remoteAddress
    this.#before = { toUpstream: terms.upstream.bytesWritten, toCaller: terms.caller.bytesWritten }
  }

  open(): void {
    const { caller, upstream, maxMs, signal } = this.#terms
    this.#watch(caller, upstream, () => ({ ended: 'gone' }))
    this.#watch(upstream, caller, () => ({ ended: 'broken', problem: brokenBy(upstream) }))
    this.#age = setTimeout(() => this.#limit(`older than ${maxMs} ms`), Math.min(maxMs, LONGEST_MS))
    signal?.addEventListener('abort', this.#abort, { once: true })
    if (signal?.aborted) return this.#abort()
    caller.pipe(upstream)
    upstream.pipe(caller)
  }

  #watch(socket: Socket, other: Socket, verdictOf: () => Verdict): void {
    // Otherwise Node would answer the end of one way with the end of the other.
    socket.allowHalfOpen = true
    // `close` follows.
    socket.on('error', () => undefined)
    // A listener given to setTimeout would be told once only.
    socket.setTimeout(this.#terms.idleTimeoutMs).on('timeout', this.#quiet)
    const closed = () => {
      // At shutdown the door ends the caller's socket, although the upstream has not ended.
      if (!cameToItsEnd(socket) || !other.readableEnded) this.#cut(verdictOf())
      this.#openSockets -= 1
      // Of one that is cut nothing more is to be learnt, and at shutdown the record is not open for long.
      if (this.#openSockets === 0 || this.#verdict) this.#finish()
    }
    if (socket.closed) process.nextTick(closed)
    else socket.once('close', closed)
  }

  /**
   * What passes rearms the timers of both sockets, but a write that drains slowly rearms that of its own alone: so the
   * tunnel is idle when both have run out, and nothing has passed between.
   */
  readonly #quiet = (): void => {
    const { bytesIn, bytesOut } = this.#counts()
    const isIdle = this.#openSockets < 2 || this.#passedWhenQuiet === bytesIn + bytesOut
    this.#passedWhenQuiet = bytesIn + bytesOut
    if (isIdle) this.#limit(`idle for ${this.#terms.idleTimeoutMs} ms`)
  }

  readonly #abort = (): void => {
    this.#cut({ ended: 'broken', problem: Problem.from(this.#terms.signal?.reason) })
  }

  #limit(reason: string): void {
    this.#cut({ ended: 'broken', problem: new Problem('tunnel-closed', { reason }) })
  }

  /** The first verdict stands; the sockets that close because of it bring no other. */
  #cut(verdict: Verdict): void {
    if (this.#verdict) return
    this.#verdict = verdict
    breakOff(this.#terms.caller)
    breakOff(this.#terms.upstream)
  }

  #finish(): void {
    clearTimeout(this.#age)
    this.#terms.signal?.removeEventListener('abort', this.#abort)
    const verdict: Verdict = this.#verdict ?? { ended: 'complete' }
    this.#resolve({ ...verdict, ...this.#counts(), status: 200, upstreamAddress: this.#upstreamAddress })
  }

  /** By what was written: the first bytes of the caller were read, and unshifted, before the tunnel began. */
  #counts(): { readonly bytesIn: number; readonly bytesOut: number } {
    const { caller, upstream } = this.#terms
    return {
      bytesIn: upstream.bytesWritten - this.#before.toUpstream,
      bytesOut: caller.bytesWritten - this.#before.toCaller,
    }
  }
}

function cameToItsEnd(socket: Socket): boolean {
  return socket.readableEnded && socket.writableFinished
}

function brokenBy({ errored }: Socket): Problem {
  const reason = `the upstream broke the tunnel: ${codeOf(errored)}`
  return new Problem('upstream-unreachable', { reason, cause: errored ?? undefined })
}
