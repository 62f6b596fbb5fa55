import type { KeyObject } from 'node:crypto'
import type { Problem } from '../../core/problem.ts'
import type { Secret } from '../../core/secret.ts'
import { z } from '../../forms/zod.ts'
import { parseJsonObject } from '../../wire/json-object.ts'
import { unfitProof } from '../refusal.ts'

/** By a private key, and by the algorithms that authorization servers know; `none` and shared secrets are no proof. */
export const clientAlgorithm = z.enum(['RS256', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA'], {
  error: 'use one of RS256, PS256, ES256, ES384, ES512, EdDSA: a private key signs, nothing else proves who it is',
})

/** How a client signs. */
export type ClientAlgorithm = z.infer<typeof clientAlgorithm>

/** What else a key says of itself. */
export interface ClientKey {
  readonly alg: ClientAlgorithm
  /** That of a JWK which has one. */
  readonly kid: string | undefined
}

const LEAST_RSA_BITS = 2048

/**
 * How a private key, in PEM or as a JWK, is to be used. `wanted`: the algorithm of the settings; without it that of the
 * JWK, or the first that fits.
 * @throws Problem `credential-failed`, which lasts
 */
export function readClientKey(secret: Secret, wanted: ClientAlgorithm | undefined): ClientKey {
  const fitting = algorithmsOf(keyIn(secret))
  const jwk = parseJsonObject(secret.reveal())
  const own = clientAlgorithm.safeParse(jwk?.get('alg')).data
  const alg = wanted ?? (own && fitting.includes(own) ? own : fitting[0])
  if (alg === undefined)
    throw unfit('use an RSA key of 2048 bits or more, an EC key on P-256, P-384, P-521, or Ed25519')
  if (!fitting.includes(alg)) throw unfit(`use one that fits ${alg}, or alg: ${fitting.join(' or ')}`)
  const kid = jwk?.get('kid')
  return { alg, kid: typeof kid === 'string' ? kid : undefined }
}

function keyIn(secret: Secret): KeyObject {
  try {
    return secret.privateKey()
  } catch {
    throw unfit('use a private key in PEM that needs no passphrase, or as a JWK')
  }
}

function unfit(remedy: string): Problem {
  return unfitProof(`the private key of the client cannot be used: ${remedy}`)
}

function algorithmsOf({ asymmetricKeyType: type, asymmetricKeyDetails: details = {} }: KeyObject): ClientAlgorithm[] {
  const isLong = (details.modulusLength ?? 0) >= LEAST_RSA_BITS
  // jose takes no key that is for RSA-PSS alone, not for PS256 either.
  if (type === 'rsa') return isLong ? ['RS256', 'PS256'] : []
  if (type === 'ed25519') return ['EdDSA']
  const curve = CURVES.get(details.namedCurve ?? '')
  return curve ? [curve] : []
}

/** As OpenSSL calls them. */
const CURVES: ReadonlyMap<string, ClientAlgorithm> = new Map([
  ['prime256v1', 'ES256'],
  ['secp384r1', 'ES384'],
  ['secp521r1', 'ES512'],
])
