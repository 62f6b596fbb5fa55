import { generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import type { Secret } from '../core/secret.ts'
import { z } from '../forms/zod.ts'

/** Signatures that a key may make; a row each: how the key is made, and what is signed. */
const ALGORITHMS = {
  ES256: { make: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }), hash: 'sha256' },
  ES384: { make: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }), hash: 'sha384' },
  ES512: { make: () => generateKeyPairSync('ec', { namedCurve: 'P-521' }), hash: 'sha512' },
  EdDSA: { make: () => generateKeyPairSync('ed25519'), hash: null },
} as const

type Algorithm = keyof typeof ALGORITHMS

/** Whether and how a token is bound to a key of ours. */
export const dpopSettings = z.union(
  [
    z.literal(true),
    z.strictObject({
      alg: z
        .enum(['ES256', 'ES384', 'ES512', 'EdDSA'])
        .meta({ description: 'how proofs are signed; `ES256` is what every server has to know' }),
    }),
  ],
  { error: 'use true, or { alg: ES256 }; leave it out for tokens that are bound to nothing' },
)

/** What a proof is for. */
export interface Proven {
  readonly method: string
  /** Scheme, authority and path, as they are sent; a query is left out. */
  readonly url: string
  /** The token that goes along; absent where one is asked for. */
  readonly token?: Secret
}

/** For so many origins a nonce is remembered: names under a wildcard are for callers to choose. */
const MAX_ORIGINS = 256

/**
 * A key that tokens are bound to. It is made here, stays in this process, and ends with it; the tokens are then worthless,
 * whoever has them. Keeps the latest nonce of each origin, since that is part of the proof.
 * @see RFC 9449
 */
export class DpopKey {
  readonly #privateKey: KeyObject
  readonly #hash: string | null
  readonly #header: string
  readonly #clock: Clock
  readonly #nonces = new Map<string, string>()
  readonly algorithm: Algorithm

  constructor(settings: z.infer<typeof dpopSettings>, clock: Clock) {
    this.algorithm = settings === true ? 'ES256' : settings.alg
    const { make, hash } = ALGORITHMS[this.algorithm]
    const { privateKey, publicKey } = make()
    const { kty, crv, x, y } = publicKey.export({ format: 'jwk' })
    this.#privateKey = privateKey
    this.#hash = hash
    this.#header = encoded({
      typ: 'dpop+jwt',
      alg: this.algorithm,
      jwk: { kty, crv, x, ...(y !== undefined && { y }) },
    })
    this.#clock = clock
  }

  /** A proof for one request, and for no other: servers refuse its `jti` the second time. */
  prove({ method, url, token }: Proven): string {
    const { origin } = new URL(url)
    const nonce = this.#nonces.get(origin)
    const claims = encoded({
      jti: randomUUID(),
      htm: method,
      htu: url.split(/[?#]/, 1)[0],
      iat: Math.floor(this.#clock.now() / 1000),
      ...(token && { ath: token.digest().toString('base64url') }),
      ...(nonce !== undefined && { nonce }),
    })
    const signed = `${this.#header}.${claims}`
    const signature = sign(this.#hash, Buffer.from(signed), { key: this.#privateKey, dsaEncoding: 'ieee-p1363' })
    return `${signed}.${signature.toString('base64url')}`
  }

  /** The nonce that the next proof for this server will have. */
  nonceFor(url: string): string | undefined {
    return this.#nonces.get(new URL(url).origin)
  }

  /** Keeps what a server has sent as `DPoP-Nonce`; anything that is none is passed over. @see RFC 9449 section 8.1 */
  learn(url: string, nonce: string | undefined): void {
    if (nonce === undefined || !/^[\x21\x23-\x5b\x5d-\x7e]{1,1024}$/.test(nonce)) return
    const { origin } = new URL(url)
    this.#nonces.delete(origin)
    this.#nonces.set(origin, nonce)
    const [oldest] = this.#nonces.keys()
    if (this.#nonces.size > MAX_ORIGINS && oldest !== undefined) this.#nonces.delete(oldest)
  }
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}
