import type { Moment } from '../core/moment.ts'
import { Problem } from '../core/problem.ts'
import { Secret } from '../core/secret.ts'
import { expiryFrom } from './expiry-form.ts'
import type { Minted } from './mint.ts'
import { type LifetimeLimits, lifetimeOf } from './token-lifetime.ts'

/** A token as somebody who is no token endpoint told of it; nothing of it has been judged. */
export interface Told {
  /** Who, for messages: "api.github.com", "the command vault". */
  readonly who: string
  readonly token: unknown
  /** The setting that says where it was looked for. */
  readonly by?: string
  /** In one of the usual forms; `undefined` or null: it was not said. */
  readonly expiry: unknown
  /** Before it was asked for. */
  readonly sentAt: Moment
  /** What its own clock said, ms since the epoch; without it ours. */
  readonly saidAt?: number | undefined
}

/**
 * The same as a token to be kept.
 * @throws Problem `credential-failed`, which may be tried again soon, when it is no token, or its expiry cannot be read
 */
export function mintedFrom(told: Told, limits: LifetimeLimits): Minted {
  const { who, token, expiry, sentAt, saidAt = sentAt.wall, by } = told
  const remedy = by === undefined ? '' : `: compare ${by} with what it answers`
  if (typeof token !== 'string' || !/^[\x20-\x7e]+$/.test(token))
    throw senseless(`${who} gave a token that is missing or not printable ASCII${remedy}`)
  const expiresIn = secondsUntil(expiry, saidAt)
  if (Number.isNaN(expiresIn)) throw senseless(`${who} gave an expiry in none of the usual forms`)
  return {
    secret: new Secret(token),
    sentAt,
    lifetimeMs: lifetimeOf({ accessToken: token, expiresIn, sentAt: sentAt.wall }, limits),
  }
}

/** undefined: it was not said. NaN: nobody knows what was said. */
function secondsUntil(expiry: unknown, now: number): number | undefined {
  if (expiry === undefined || expiry === null) return undefined
  return ((expiryFrom(expiry, now) ?? Number.NaN) - now) / 1000
}

/** An answer that makes no sense: the next one may. */
export function senseless(reason: string): Problem {
  return new Problem('credential-failed', { reason, retryAfter: 1 })
}
