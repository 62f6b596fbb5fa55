import type { KeyObject } from 'node:crypto'
import type { Secret } from '../core/secret.ts'
import type { SigningAlgorithm } from './sign-jwt.ts'

const LEAST_RSA_BITS = 2048

/** Why a key cannot sign by an algorithm, in words, with the form to use; undefined: it can. */
export function faultOfKey(alg: SigningAlgorithm, secret: Secret): string | undefined {
  try {
    return fits(alg, secret.privateKey())
      ? undefined
      : `use ${FITTING[alg.slice(0, 2)]}: this key cannot sign by ${alg}`
  } catch {
    return 'use a private key in PEM ("-----BEGIN PRIVATE KEY-----") that needs no passphrase'
  }
}

function fits(
  alg: SigningAlgorithm,
  { asymmetricKeyType: type, asymmetricKeyDetails: details = {} }: KeyObject,
): boolean {
  if (alg === 'EdDSA') return type === 'ed25519'
  if (alg.startsWith('ES')) return type === 'ec' && details.namedCurve === CURVES[alg]
  // jose takes no key that is for RSA-PSS alone, for PS256 neither.
  return type === 'rsa' && (details.modulusLength ?? 0) >= LEAST_RSA_BITS
}

const FITTING: Readonly<Record<string, string>> = {
  RS: 'an RSA key of 2048 bits or more',
  PS: 'an RSA key of 2048 bits or more',
  ES: 'an EC key on the curve of the algorithm (P-256, P-384, P-521)',
  Ed: 'an Ed25519 key',
}

/** As OpenSSL calls them. */
const CURVES: Readonly<Record<string, string>> = { ES256: 'prime256v1', ES384: 'secp384r1', ES512: 'secp521r1' }
