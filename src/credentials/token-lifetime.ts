import { z } from '../forms/zod.ts'
import { parseJsonObject } from '../wire/json-object.ts'

const DAY_MS = 86_400_000

/** Settings of every source that mints. */
export const lifetimeFields = {
  defaultLifetimeMs: z
    .int()
    .min(1000)
    .max(DAY_MS)
    .default(300_000)
    .meta({ description: 'ms a token is taken to live when neither `expires_in` nor the token itself tells' }),
  maxLifetimeMs: z
    .int()
    .min(1000)
    .max(30 * DAY_MS)
    .default(DAY_MS)
    .meta({ description: 'ms after which a token is not used any more, whatever the issuer says' }),
}

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
