import type { Evidence } from '../core/ask.ts'
import type { Clock } from '../core/clock.ts'
import { peerNetwork } from '../wire/address.ts'

/** Wrong proofs that one peer may show in a second, and how many at once after a silence. */
export const MAX_FAILURES_PER_SECOND = 1_000
/** Peers that are remembered. One that is forgotten starts anew. */
const MAX_PEERS = 4_096

interface Bucket {
  /** Failures that are left. */
  left: number
  /** When that was; ms on the monotonic clock. */
  at: number
}

/**
 * Counts the wrong proofs of each peer: a uid at a Unix socket where the kernel told it, on TCP an address, of IPv6 a /64. Good
 * proofs are not counted, and those that are known already are let by while their peer is over the limit. All of a machine's
 * processes on loopback are one peer.
 */
export class FailureLimit {
  readonly #clock: Clock
  readonly #peers = new Map<string, Bucket>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether this peer has shown too many of late. Costs next to nothing while nobody has. */
  isOver(evidence: Evidence): boolean {
    if (this.#peers.size === 0) return false
    const bucket = this.#peers.get(peerOf(evidence))
    return bucket !== undefined && this.#leftIn(bucket) < 1
  }

  /** One more; whether it is one too many. */
  count(evidence: Evidence): boolean {
    const peer = peerOf(evidence)
    const before = this.#peers.get(peer)
    const left = before ? this.#leftIn(before) : MAX_FAILURES_PER_SECOND
    this.#peers.delete(peer)
    this.#peers.set(peer, { left: Math.max(0, left - 1), at: this.#clock.monotonic() })
    this.#forget()
    return left < 1
  }

  #leftIn({ left, at }: Bucket): number {
    const refilled = ((this.#clock.monotonic() - at) / 1000) * MAX_FAILURES_PER_SECOND
    return Math.min(MAX_FAILURES_PER_SECOND, left + refilled)
  }

  /** The one that failed last the longest ago. */
  #forget(): void {
    if (this.#peers.size <= MAX_PEERS) return
    const [oldest] = this.#peers.keys()
    if (oldest !== undefined) this.#peers.delete(oldest)
  }
}

function peerOf({ peer, address }: Evidence): string {
  if (peer) return `uid ${peer.uid}`
  return address === undefined ? 'unix' : peerNetwork(address)
}
