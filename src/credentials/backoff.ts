import { RETRY_AFTER_CAP_MS } from '../oauth/answer.ts'

const BASE_MS = 500
const CAP_MS = 60_000
const LEAST_MS = 100
const BREAKER_AFTER = 5
const LASTING_BASE_MS = 60_000
const LASTING_CAP_MS = 600_000

/** One more failure in a row, and what is known of it. */
export interface Failure {
  /** Failures in a row, this one included, of the same sort: lasting ones are counted apart. */
  readonly count: number
  /** Asking again ends the same way until somebody changes something. */
  readonly isLasting: boolean
  /** What the issuer asked for, ms. */
  readonly retryAfterMs: number
  /** From 0 up to but not including 1. */
  readonly random: number
}

/**
 * How long to leave the issuer alone, ms.
 *
 * A failure that may pass: exponential from 500 ms up to 60 s, with full jitter, so that many sidecars do not come back
 * in step. From the fifth in a row the breaker is open: the wait is at least half of the ceiling, and whoever comes
 * after it is the one probe, since mints fly alone. A lasting failure: 60 s, doubling up to 10 min.
 */
export function delayAfter({ count, isLasting, retryAfterMs, random }: Failure): number {
  const own = isLasting ? doubling(LASTING_BASE_MS, LASTING_CAP_MS, count) : jittered(count, random)
  return Math.max(own, Math.min(retryAfterMs, RETRY_AFTER_CAP_MS))
}

function jittered(count: number, random: number): number {
  const ceiling = doubling(BASE_MS, CAP_MS, count)
  if (count >= BREAKER_AFTER) return ceiling / 2 + (random * ceiling) / 2
  // Full jitter may come out as nothing at all, which under load is a hot loop.
  return Math.max(LEAST_MS, random * ceiling)
}

function doubling(base: number, cap: number, count: number): number {
  return Math.min(cap, base * 2 ** (count - 1))
}
