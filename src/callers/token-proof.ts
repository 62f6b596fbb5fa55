import type { Clock } from '../core/clock.ts'
import { signerOf } from './jwks.ts'
import type { KeySource } from './jwks-source.ts'
import type { Token } from './token.ts'
import { timesOf } from './token-checks.ts'

/** How long something holds. Both clocks count: one may be set back, the other stands still while the machine sleeps. */
export interface Span {
  /** ms since the epoch */
  readonly notBefore: number
  readonly until: number
  /** ms on the monotonic clock */
  readonly untilMonotonic: number
}

/** The span of a token that was found right just now. */
export function spanOf({ claims }: Token, clockSlackMs: number, clock: Clock): Span {
  const { notBefore, issuedAt, until = 0 } = timesOf(claims, clockSlackMs)
  return spanUntil(Math.max(notBefore, issuedAt), until, clock)
}

/** From then to then; ms since the epoch. */
export function spanUntil(notBefore: number, until: number, clock: Clock): Span {
  return { notBefore, until, untilMonotonic: clock.monotonic() + (until - clock.now()) }
}

/** Whether it holds at this moment. */
export function isWithin({ notBefore, until, untilMonotonic }: Span, clock: Clock): boolean {
  const now = clock.now()
  return now >= notBefore && now < until && clock.monotonic() < untilMonotonic
}

/** Who signed, or why nobody has in words. `isOurs`: it could not be judged, which is no fault of who showed it. */
export type Signature =
  | { readonly keyId: string }
  | { readonly keyId?: undefined; readonly fault: string; readonly isOurs?: true }

/** Verifies the signature by the issuer's own keys; newer ones are fetched where none of them could have signed. */
export async function judgeSignature(token: Token, source: KeySource): Promise<Signature> {
  try {
    const signer = await signerOf(token, await source.current())
    const found = signer === 'unknown-key' ? await signerByNewer(token, source) : signer
    if (found === 'unknown-key') return { fault: 'it was signed with a key that the issuer does not have' }
    return found ? { keyId: found.id } : { fault: 'its signature is wrong' }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { fault: `the keys of its issuer cannot be had: ${reason}`, isOurs: true }
  }
}

/** Asks at each use whether the issuer still has that key: withdrawn, it takes along what it has signed. */
export function stillHolds(keyId: string, source: KeySource): () => boolean | Promise<boolean> {
  return () => {
    const keys = source.current()
    return keys instanceof Promise ? keys.then((later) => later.holds(keyId)) : keys.holds(keyId)
  }
}

async function signerByNewer(token: Token, source: KeySource): ReturnType<typeof signerOf> {
  const renewed = source.renewed()
  return renewed ? signerOf(token, await renewed) : 'unknown-key'
}
