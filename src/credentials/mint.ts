import type { Problem } from '../core/problem.ts'
import type { LongLived, Secret } from '../core/secret.ts'

/** One point in time on both clocks, ms: an expiry is judged by the one that comes first. */
export interface Moment {
  /** Ms since the epoch. */
  readonly wall: number
  readonly monotonic: number
}

/** A token as an authorization server has just given it. */
export interface Minted {
  readonly secret: Secret
  /** When the request left: the issuer's clock for this token cannot have started earlier. */
  readonly sentAt: Moment
  /** Counted from `sentAt`. */
  readonly lifetimeMs: number
  /** The long-lived secret that it was minted with. */
  readonly behind?: LongLived
  /** What an operator should know although it went well. Our own words. */
  readonly warnings?: readonly string[]
}

/**
 * Asks an authorization server for a token, once. Never called again before it has settled, and it must settle.
 * @throws Problem `credential-unavailable`: it may pass. `credential-failed`: see `isLasting`
 */
export type Mint = () => Promise<Minted>

/**
 * Whether asking again will end the same way until somebody changes something: a `credential-failed` that names no time
 * for another try. With `retryAfter`, as for an answer that made no sense, the next one may be better (envoy#42009).
 */
export function isLasting(problem: Problem): boolean {
  return problem.code === 'credential-failed' && problem.retryAfter === undefined
}
