import { parseJsonObject } from '../wire/json-object.ts'

/** Settings, ms. */
export interface LifetimeLimits {
  /** When neither the answer nor the token tells. */
  readonly defaultLifetimeMs: number
  /** Whatever the issuer says. */
  readonly maxLifetimeMs: number
}

/**
 * How long a token lives from `sentAt` (ms since the epoch): the earlier of `expires_in` (seconds) and the token's own
 * `exp`. May be nought or less: then it is over already. Databricks copies `exp` from the token it was given, so
 * `expires_in` alone may promise too much.
 */
export function lifetimeOf(
  token: { readonly accessToken: string; readonly expiresIn: number | undefined; readonly sentAt: number },
  { defaultLifetimeMs, maxLifetimeMs }: LifetimeLimits,
): number {
  const exp = expOf(token.accessToken)
  const told = [
    ...(token.expiresIn === undefined ? [] : [token.expiresIn * 1000]),
    ...(exp === undefined ? [] : [exp * 1000 - token.sentAt]),
  ]
  return Math.min(maxLifetimeMs, ...(told.length > 0 ? told : [defaultLifetimeMs]))
}

/** Seconds since the epoch. Not verified: it is a hint for us alone, the upstream is who judges the token. */
function expOf(accessToken: string): number | undefined {
  const [, payload, signature] = accessToken.split('.')
  if (payload === undefined || signature === undefined) return undefined
  const exp = parseJsonObject(Buffer.from(payload, 'base64url').toString())?.get('exp')
  return typeof exp === 'number' && Number.isFinite(exp) ? exp : undefined
}
