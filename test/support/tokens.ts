import { CompactSign, type CryptoKey, exportJWK, generateKeyPair, type JWK } from 'jose'
import type { Evidence } from '../../src/core/ask.ts'
import { Secret } from '../../src/core/secret.ts'

/** A key of an issuer of the tests. */
export interface SigningKey {
  readonly kid: string
  readonly alg: string
  readonly privateKey: CryptoKey
  /** The public half, as the issuer publishes it. */
  readonly jwk: JWK
}

/** A new key. */
export async function makeSigningKey(alg = 'ES256', kid = `${alg}-1`): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
}

/** A JWK set of these keys, as text. */
export function jwksOf(...keys: readonly SigningKey[]): string {
  return JSON.stringify({ keys: keys.map(({ jwk }) => jwk) })
}

/** A token of these claims: an object, or text as it is. A member of the header that is undefined is left out. */
export async function signToken(key: SigningKey, claims: object | string, header: object = {}): Promise<string> {
  const payload = typeof claims === 'string' ? claims : JSON.stringify(claims)
  const whole: object = { alg: key.alg, kid: key.kid, typ: 'JWT', ...header }
  const present = Object.fromEntries(Object.entries(whole).filter(([, value]) => value !== undefined))
  // The algorithm is there: this is what the library asks for.
  return new CompactSign(Buffer.from(payload)).setProtectedHeader(present as { alg: string }).sign(key.privateKey)
}

/** A token that nobody has signed, with this header and this signature. */
export function forgeToken(header: object | string, claims: object, signature = ''): string {
  const part = (value: object | string) =>
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
  return `${part(header)}.${part(claims)}.${signature}`
}

/** A token as a caller shows it to a forward door; `caller`: the user name beside it. */
export function showing(token: string, caller?: string): Evidence {
  return { keys: [{ key: new Secret(token), caller }], keysAre: 'certain', address: '127.0.0.1' }
}

/** Claims of a token that is good for ten minutes. `now`: ms since the epoch. */
export function claimsAt(now: number, claims: object): object {
  const seconds = Math.floor(now / 1000)
  return { iat: seconds, nbf: seconds, exp: seconds + 600, ...claims }
}
