import { randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import { Problem } from '../core/problem.ts'
import { Secret } from '../core/secret.ts'
import { z } from '../forms/zod.ts'

/** How far in the past `iat` is, ms: an issuer whose clock is behind ours takes the JWT all the same. */
const BACKDATED_MS = 30_000

/** By a private key alone: with a shared secret (HS256) whoever verifies could sign too, and `none` proves nothing. */
export const signingAlgorithm = z.enum([
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
])

export type SigningAlgorithm = z.infer<typeof signingAlgorithm>

/** What is to be signed, besides `iat`, `exp` and `jti`, which are ours. */
export interface JwtToSign {
  readonly alg: SigningAlgorithm
  /** Further members of the header: `kid`, `typ`, `x5t#S256`. One that is undefined is left out. */
  readonly header?: Readonly<Record<string, string | undefined>>
  /** One that is undefined is left out. */
  readonly claims: Readonly<Record<string, unknown>>
  /** Ms from `iat` to `exp`: it is used up 30 s sooner than that, counted from now. */
  readonly lifetimeMs: number
  /** Adds `nbf`, which Entra wants: the same as `iat`. */
  readonly withNotBefore?: boolean
  /** Ms since the epoch. */
  readonly now: number
}

/** A JWT of ours. */
export interface SignedJwt {
  readonly jwt: Secret
  /** Ms since the epoch, on the full second. */
  readonly expiresAt: number
}

/**
 * Signs with a private key in PEM, as it stands now. Each JWT has a `jti` of its own: an issuer that remembers them
 * refuses the second use of one.
 * @throws Problem `credential-failed`, which lasts, when the key cannot be read or does not fit the algorithm
 * @see RFC 7523 section 3
 */
export async function signJwt(key: Secret, { alg, header, claims, now, ...when }: JwtToSign): Promise<SignedJwt> {
  const iat = Math.floor((now - BACKDATED_MS) / 1000)
  const exp = iat + Math.floor(when.lifetimeMs / 1000)
  const own = { iat, exp, jti: randomUUID(), ...(when.withNotBefore && { nbf: iat }) }
  const privateKey = readKey(key)
  try {
    const signing = new SignJWT({ ...claims, ...own }).setProtectedHeader({ ...present(header), alg })
    return { jwt: new Secret(await signing.sign(privateKey)), expiresAt: exp * 1000 }
  } catch {
    // The library's error shows what it was given.
    throw new Problem('credential-failed', {
      reason: `the private key does not fit ${alg}: ${FITTING[alg.slice(0, 2)]}`,
    })
  }
}

function readKey(key: Secret) {
  try {
    return key.privateKey()
  } catch (error) {
    throw new Problem('credential-failed', { reason: `to sign with: ${error instanceof Error ? error.message : ''}` })
  }
}

function present(header: JwtToSign['header'] = {}) {
  return Object.fromEntries(Object.entries(header).filter(([, value]) => value !== undefined))
}

const FITTING: Readonly<Record<string, string>> = {
  RS: 'use an RSA key of 2048 bits or more',
  PS: 'use an RSA key of 2048 bits or more',
  ES: 'use an EC key on the curve of the algorithm (P-256, P-384, P-521)',
  Ed: 'use an Ed25519 key',
}
