import type { Moment } from '../core/moment.ts'
import type { Problem } from '../core/problem.ts'
import type { Purpose } from '../core/purpose.ts'
import type { LongLived, Secret } from '../core/secret.ts'
import type { DpopKey } from '../oauth/dpop.ts'
import type { Lineage } from './credential.ts'

/** A token as an authorization server has just given it. */
export interface Minted {
  readonly secret: Secret
  /** When the request left: the issuer's clock for this token cannot have started earlier. */
  readonly sentAt: Moment
  /** Counted from `sentAt`. */
  readonly lifetimeMs: number
  /** The long-lived secret that it was minted with. */
  readonly behind?: LongLived
  readonly lineage?: Lineage | undefined
  /** Another one would end at the same time: it is used to its end, and never refreshed ahead. */
  readonly isLast?: boolean
  /** The key that it is bound to. */
  readonly boundTo?: DpopKey
  /** False once what it may be bound to is used no more, or what it rests on was taken back: then it is over before its time. */
  readonly isGood?: (() => boolean) | undefined
  /** What an operator should know although it went well. Our own words. */
  readonly warnings?: readonly string[]
}

/**
 * Asks an authorization server for a token, once. Never called again before it has settled, and it must settle.
 * `purpose`: of the ask that began it, where one did.
 * @throws Problem `credential-unavailable`: it may pass. `credential-failed`: see `isLasting`. `login-required`
 */
export type Mint = (purpose?: Purpose) => Promise<Minted>

/**
 * Whether asking again will end the same way until somebody changes something: a `credential-failed` that names no time
 * for another try. With `retryAfter`, as for an answer that made no sense, the next one may be better (envoy#42009).
 */
export function isLasting(problem: Problem): boolean {
  return problem.code !== 'credential-unavailable' && problem.retryAfter === undefined
}

/** How one mint went. `durationMs`: on the monotonic clock. */
export type MintEvent =
  | {
      readonly outcome: 'ok'
      readonly durationMs: number
      readonly version: string
      readonly secret: Secret
      /** What an operator should know although it went well. Our own words. */
      readonly warnings: readonly string[]
    }
  | { readonly outcome: 'failed'; readonly durationMs: number; readonly problem: Problem }
