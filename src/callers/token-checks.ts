import type { Members } from './token.ts'

/** What a token has to fulfil, whoever it speaks for. */
export interface Terms {
  readonly algorithms: ReadonlySet<string>
  /** Our own names as an audience: one of them has to be in `aud`. */
  readonly audiences: ReadonlySet<string>
  /** By how much the clocks of issuer and sidecar may differ, ms. */
  readonly clockSlackMs: number
}

/** Kinds of JWT that speak for whoever shows them; a logout or security-event token does not. @see RFC 8725 section 3.11 */
const TYPES: ReadonlySet<unknown> = new Set(['jwt', 'at+jwt', 'application/jwt', 'application/at+jwt', 'jose'])

/**
 * What is wrong with the header, in words. Keys that it brings along or points to (`jwk`, `jku`, `x5c`, `x5u`) are not
 * looked at: whoever forges a token would sign with those.
 */
export function faultOfHeader(header: Members, { algorithms }: Pick<Terms, 'algorithms'>): string | undefined {
  const [algorithm, type, kid] = ['alg', 'typ', 'kid'].map((name) => header.get(name))
  if (typeof algorithm !== 'string' || !algorithms.has(algorithm)) return 'its algorithm is not allowed'
  // What must be understood is not: there is no extension here.
  if (header.has('crit') || header.has('b64')) return 'it asks for an extension of JWS'
  if (type !== undefined && !(typeof type === 'string' && TYPES.has(type.toLowerCase())))
    return 'its typ is not that of a token for access'
  const isKid = kid === undefined || (typeof kid === 'string' && kid !== '' && kid.length <= 256)
  return isKid ? undefined : 'its kid is no text of 256 characters at most'
}

/** What is wrong with whom it is for and when, in words. `now`: ms since the epoch. */
export function faultOfUse(claims: Members, terms: Omit<Terms, 'algorithms'>, now: number): string | undefined {
  return isFor(claims.get('aud'), terms.audiences) ? faultOfTimes(claims, terms, now) : 'it is for another audience'
}

function isFor(audience: unknown, ours: ReadonlySet<string>): boolean {
  const named: readonly unknown[] = Array.isArray(audience) ? audience : [audience]
  return named.every((one) => typeof one === 'string') && named.some((one) => ours.has(one))
}

/** @see RFC 7519 section 4.1.4 to 4.1.6; seconds since the epoch, and JSON can say 1e999 */
function faultOfTimes(claims: Members, { clockSlackMs }: Pick<Terms, 'clockSlackMs'>, now: number): string | undefined {
  const odd = ['exp', 'nbf', 'iat'].find((name) => claims.has(name) && !Number.isFinite(claims.get(name)))
  if (odd !== undefined) return `its ${odd} is no number`
  const { notBefore, until, issuedAt } = timesOf(claims, clockSlackMs)
  if (until === undefined) return 'it has no exp'
  if (now >= until) return 'it has expired'
  if (now < notBefore) return 'it is not valid yet'
  return now < issuedAt ? 'it was issued in the future' : undefined
}

/** From when to when a token is taken, the slack of the clocks included; ms since the epoch. */
export interface Times {
  readonly notBefore: number
  readonly issuedAt: number
  readonly until: number | undefined
}

/** The times of claims that were found right. */
export function timesOf(claims: Members, clockSlackMs: number): Times {
  const at = (name: string) => (claims.has(name) ? Number(claims.get(name)) * 1000 : undefined)
  const expiry = at('exp')
  return {
    notBefore: (at('nbf') ?? 0) - clockSlackMs,
    issuedAt: (at('iat') ?? 0) - clockSlackMs,
    until: expiry === undefined ? undefined : expiry + clockSlackMs,
  }
}
