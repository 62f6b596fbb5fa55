import { decodeJwt, decodeProtectedHeader, errors, type JWTVerifyOptions, jwtVerify } from 'jose'
import type { Secret } from '../core/secret.ts'
import type { Authorities } from './spiffe-bundle.ts'
import { parseSpiffeId, type SpiffeId } from './spiffe-id.ts'

/** A JWT-SVID as it was shown; not yet believed. */
export interface JwtSvid {
  readonly secret: Secret
  readonly id: SpiffeId
}

/** @see JWT-SVID section 2.1 */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512']
const HEADERS: ReadonlySet<string> = new Set(['alg', 'kid', 'typ'])
const TYPES: ReadonlySet<unknown> = new Set([undefined, 'JWT', 'JOSE'])
const MAX_CHARS = 16_384
/** By how much the clocks of the issuer and of this machine may differ. */
export const SLACK_MS = 30_000
/** Keys that may be tried where neither token nor bundle says which one it is. */
const MAX_KEYS = 8

/**
 * The token in a proof. Undefined: it is none whose subject is a SPIFFE ID, so it is for others to judge. A text: it is one,
 * and this is wrong with its form.
 * @see JWT-SVID section 2, section 3
 */
export function readJwtSvid(secret: Secret): JwtSvid | string | undefined {
  try {
    const text = secret.reveal()
    if (text.length > MAX_CHARS) return undefined
    const { sub } = decodeJwt(text)
    if (typeof sub !== 'string' || !sub.startsWith('spiffe:')) return undefined
    const fault = faultOfHeader(decodeProtectedHeader(text))
    const id = parseSpiffeId(sub)
    return fault ?? (id ? { secret, id } : 'its subject is not the SPIFFE ID of a workload')
  } catch {
    return undefined
  }
}

function faultOfHeader(header: Readonly<Record<string, unknown>>): string | undefined {
  // jku, jwk, x5u and x5c would let the token say who is to be believed about it.
  if (Object.keys(header).some((name) => !HEADERS.has(name))) return 'its header has more than alg, kid and typ'
  if (!ALGORITHMS.includes(String(header['alg']))) return 'its algorithm is not one of JWT-SVIDs'
  return TYPES.has(header['typ']) ? undefined : 'its typ is not that of a JWT-SVID'
}

interface Terms {
  readonly authorities: Authorities
  /** Ours: one of them has to be among those of the token. */
  readonly audiences: readonly string[]
  /** Ms since the epoch. */
  readonly at: number
}

/** Why these authorities do not vouch for the token at this time, in words; undefined: they do. Does not reject. */
export async function faultOfJwtSvid(
  { secret }: JwtSvid,
  { authorities, audiences, at }: Terms,
): Promise<string | undefined> {
  if (!authorities.keys) return 'the bundle of its trust domain has no key for JWT-SVIDs'
  const options: JWTVerifyOptions = {
    algorithms: ALGORITHMS,
    audience: [...audiences],
    requiredClaims: ['aud', 'exp'],
    clockTolerance: SLACK_MS / 1000,
    currentDate: new Date(at),
  }
  try {
    await jwtVerify(secret.reveal(), authorities.keys, options)
    return undefined
  } catch (error) {
    return error instanceof errors.JWKSMultipleMatchingKeys ? tryEach(secret, error, options) : inWords(error)
  }
}

async function tryEach(
  secret: Secret,
  candidates: errors.JWKSMultipleMatchingKeys,
  options: JWTVerifyOptions,
): Promise<string | undefined> {
  let left = MAX_KEYS
  let fault = 'no key of its trust domain has signed it'
  for await (const key of candidates) {
    if (left === 0) break
    left -= 1
    try {
      await jwtVerify(secret.reveal(), key, options)
      return undefined
    } catch (error) {
      fault = inWords(error)
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) break
    }
  }
  return fault
}

/** What of the library's errors an operator can use; their own messages may repeat parts of the token. */
function inWords(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'it has expired'
  if (error instanceof errors.JWTClaimValidationFailed && error.reason === 'missing') return `it has no ${error.claim}`
  if (error instanceof errors.JWTClaimValidationFailed) return `its ${error.claim} is not right`
  if (error instanceof errors.JWKSNoMatchingKey) return 'no key of its trust domain fits it'
  return 'no key of its trust domain has signed it'
}
