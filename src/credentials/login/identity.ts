import { identityOfCaller } from '../../core/holdings.ts'
import { Problem } from '../../core/problem.ts'
import type { Purpose } from '../../core/purpose.ts'
import { z } from '../../forms/zod.ts'

/** Who shares a login with whom. */
export const identitySettings = z.union(
  [
    z.enum(['shared', 'per-caller']),
    z.strictObject({
      claim: z.string().min(1).max(128).meta({
        description:
          'name of a claim of the token that the caller shows: one that its issuer gives, as `sub` and `oid`, and people cannot set themselves',
      }),
    }),
  ],
  { error: 'use shared, per-caller, or { claim: NAME }' },
)

export type IdentitySettings = z.infer<typeof identitySettings>

const MAX_CHARS = 256

/** Whose login it is, as it is kept: no form of one kind is ever that of another. */
export function identityFor(caller: string | undefined, settings: IdentitySettings): string {
  if (settings === 'shared') {
    if (caller !== undefined) throw wrong('one login serves all callers here: leave the caller out')
    return 'shared'
  }
  if (caller === undefined || caller === '')
    throw wrong('each caller has a login of its own here: say whose, as --caller NAME')
  if (caller.length > MAX_CHARS) throw wrong(`a name of a login has at most ${MAX_CHARS} characters`)
  return settings === 'per-caller' ? identityOfCaller(caller) : `claim:${settings.claim}:${caller}`
}

/** The other way: undefined where it is everybody's, or of other settings than these. */
export function callerOf(identity: string, settings: IdentitySettings): string | undefined {
  if (settings === 'shared') return undefined
  const prefix = settings === 'per-caller' ? identityOfCaller('') : `claim:${settings.claim}:`
  return identity.startsWith(prefix) ? identity.slice(prefix.length) : undefined
}

/** Whose login an ask is made with: the text that names it. @throws Problem `identity-missing` where the proof does not say */
export function callerFor({ caller }: Purpose, settings: IdentitySettings): string | undefined {
  if (settings === 'shared') return undefined
  if (settings === 'per-caller') return caller.name
  const claims = caller.token?.claims
  const value = claims?.get(settings.claim)
  // Whoever may write any address into its profile would be whoever it likes.
  if (settings.claim === 'email' && DENIED.has(claims?.get('email_verified')))
    throw new Problem('identity-missing', { reason: 'the issuer says that nobody has verified the email of the token' })
  if (typeof value === 'string' && value !== '' && value.length <= MAX_CHARS) return value
  const reason = `the caller shows no token with a text as its claim ${settings.claim}, which says whose login it is`
  throw new Problem('identity-missing', { reason })
}

/** Some issuers write it as a text. */
const DENIED: ReadonlySet<unknown> = new Set([false, 'false'])

function wrong(reason: string): Problem {
  return new Problem('credential-failed', { reason })
}
