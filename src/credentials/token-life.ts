import type { Moment } from '../core/moment.ts'

const MARGIN_MS = 10_000
const MARGIN_SHARE = 0.1
const REFRESH_SHARE = 0.75
const REFRESH_SPREAD = 0.1
const SAME_TOKEN_SPACING_MS = 5_000

/** The two points that matter in a token's life; each has come when either clock says so. */
export interface TokenLife {
  /** From here on another one is wanted, while this one still serves. */
  readonly refreshFrom: Moment
  /** From here on it is not used: a little before its expiry, so that it is still good when the request arrives. */
  readonly usableUntil: Moment
}

/**
 * The life of a token. Refresh falls at 75 to 85 % of the lifetime, drawn once, so that tokens minted together are not
 * refreshed together; the margin before expiry is 10 s, or 10 % of a short lifetime. `isLast`: nothing better can be had.
 * `random`: from 0 up to but not including 1.
 */
export function lifeOf({ sentAt, lifetimeMs, isLast }: Lived, random: number): TokenLife {
  const usableUntil = later(sentAt, lifetimeMs - Math.min(MARGIN_MS, lifetimeMs * MARGIN_SHARE))
  const refreshFrom = isLast ? usableUntil : later(sentAt, lifetimeMs * (REFRESH_SHARE + REFRESH_SPREAD * random))
  return { refreshFrom, usableUntil }
}

interface Lived {
  readonly sentAt: Moment
  readonly lifetimeMs: number
  readonly isLast?: boolean
}

/**
 * The same life when the issuer gave the very token we had: it hands out its own cached one until that is nearly over.
 * Asking again at half of what is left, and not within 5 s, ends in no hot loop (google-auth-library-java#749).
 */
export function lifeOfSame(life: TokenLife, now: Moment): TokenLife {
  const left = Math.min(life.usableUntil.monotonic - now.monotonic, life.usableUntil.wall - now.wall)
  return { ...life, refreshFrom: later(now, Math.max(SAME_TOKEN_SPACING_MS, left / 2)) }
}

/**
 * Whether the moment has come by either clock. The wall clock counts time while the machine sleeps, the monotonic one
 * does not let a wall clock that was set back prolong anything.
 */
export function isReached(moment: Moment, now: Moment): boolean {
  return now.monotonic >= moment.monotonic || now.wall >= moment.wall
}

function later(moment: Moment, ms: number): Moment {
  return { wall: moment.wall + ms, monotonic: moment.monotonic + ms }
}
