import { createPublicKey, type KeyObject } from 'node:crypto'
import { compactVerify } from 'jose'
import { parseJsonObject } from '../wire/json-object.ts'
import type { Token } from './token.ts'

/** A key of an issuer that may verify signatures. */
export interface PublicKey {
  /** What the key is: two keys with one id are the same. */
  readonly id: string
  readonly kid: string | undefined
  /** The one algorithm it is for, where the issuer says so. */
  readonly algorithm: string | undefined
  /** `RSA`, or the curve. */
  readonly sort: string
  readonly key: KeyObject
}

/** The keys of an issuer at one time. */
export interface KeySet {
  readonly keys: readonly PublicKey[]
  /** Whether this key is still among them. */
  holds(id: string): boolean
}

const MAX_KEYS = 100
/** A token without a `kid` is tried with so many keys, and no more: each costs. */
const MAX_TRIES = 4
const RSA_BITS = { least: 2048, most: 8192 }

/** Every algorithm that can be allowed, and the sort of key it wants. None has a secret that both sides know. */
export const ALGORITHMS = {
  RS256: 'RSA',
  RS384: 'RSA',
  RS512: 'RSA',
  PS256: 'RSA',
  PS384: 'RSA',
  PS512: 'RSA',
  ES256: 'P-256',
  ES384: 'P-384',
  ES512: 'P-521',
  EdDSA: 'Ed25519',
  Ed25519: 'Ed25519',
} as const satisfies Readonly<Record<string, string>>

/**
 * Reads a JWK set. Keys that cannot verify are left out: those to encrypt with, secret and private ones, RSA keys that
 * are too short or too long, unknown sorts. A text: what is wrong with it.
 * @see RFC 7517 section 5
 */
export function readJwks(text: string): KeySet | string {
  const members = parseJsonObject(text)?.get('keys')
  if (!Array.isArray(members)) return 'is no JWK set: it has no list "keys"'
  if (members.length > MAX_KEYS) return `has more than ${MAX_KEYS} keys`
  const keys = members.flatMap((member) => publicKeyOf(member) ?? [])
  if (keys.length === 0) return 'has no key that could verify a signature'
  const ids = new Set(keys.map(({ id }) => id))
  return { keys, holds: (id) => ids.has(id) }
}

/** As a judge of files. */
export function faultOfJwks(text: string): string | undefined {
  const read = readJwks(text)
  return typeof read === 'string' ? read : undefined
}

function publicKeyOf(jwk: unknown): PublicKey | undefined {
  if (typeof jwk !== 'object' || jwk === null) return undefined
  // A record of whatever JSON has.
  const { kty, crv, x, y, n, e, kid, alg, use, key_ops: uses, d, k } = jwk as Readonly<Record<string, unknown>>
  const isForSignatures = (use ?? 'sig') === 'sig' && (!Array.isArray(uses) || uses.includes('verify'))
  if (!isForSignatures || d !== undefined || k !== undefined) return undefined
  const sort = kty === 'RSA' ? kty : crv
  if (typeof sort !== 'string') return undefined
  try {
    const key = createPublicKey({ key: { kty, crv, x, y, n, e } as JsonWebKey, format: 'jwk' })
    if (kty === 'RSA' && !isFitRsa(key)) return undefined
    const id = JSON.stringify([kty, crv, x, y, n, e])
    return { id, kid: textOf(kid), algorithm: textOf(alg), sort, key }
  } catch {
    return undefined
  }
}

/** What node:crypto takes as a key in this format. */
type JsonWebKey = Extract<Parameters<typeof createPublicKey>[0], { readonly format: 'jwk' }>['key']

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function isFitRsa({ asymmetricKeyDetails: { modulusLength = 0 } = {} }: KeyObject): boolean {
  return modulusLength >= RSA_BITS.least && modulusLength <= RSA_BITS.most
}

/**
 * The key that has signed a token whose header was found right. `unknown-key`: none of these could have, so that newer
 * keys might. Undefined: the signature is wrong.
 */
export async function signerOf(token: Token, { keys }: KeySet): Promise<PublicKey | 'unknown-key' | undefined> {
  const [algorithm, kid] = ['alg', 'kid'].map((name) => token.header.get(name))
  // The header was judged: the algorithm is one of the table.
  const fits = keys.filter((key) => isFit(key, algorithm as keyof typeof ALGORITHMS, kid)).slice(0, MAX_TRIES)
  for (const one of fits) if (await isSignedBy(token, one, String(algorithm))) return one
  return fits.length === 0 || kid === undefined ? 'unknown-key' : undefined
}

function isFit({ kid, algorithm, sort }: PublicKey, wanted: keyof typeof ALGORITHMS, named: unknown): boolean {
  return sort === ALGORITHMS[wanted] && (algorithm ?? wanted) === wanted && (named === undefined || named === kid)
}

/** Takes the key from us and the algorithm from the allow-list; the library compares, and trusts nothing in the token. */
async function isSignedBy({ secret }: Token, { key }: PublicKey, algorithm: string): Promise<boolean> {
  return compactVerify(secret.reveal(), key, { algorithms: [algorithm] }).then(
    () => true,
    () => false,
  )
}
