import type { KeyObject } from 'node:crypto'
import type { Certificate } from '../core/certificate.ts'
import type { Secret } from '../core/secret.ts'
import { certificatesIn } from './certificate.ts'

/** What is wrong with one of the two, in words, with the remedy. */
export interface PairFault {
  readonly of: 'certificate' | 'key'
  readonly message: string
}

/**
 * Whether this certificate, the first in its PEM file, can be shown with this key; undefined: it can.
 * `at`: ms since the epoch; without it, its time is not judged.
 */
export function faultOfPair(pem: string, key: Secret, at?: number): PairFault | undefined {
  const fault = faultOfCertificates(pem)
  if (fault !== undefined) return { of: 'certificate', message: fault }
  const [own, ...others] = certificatesIn(pem)
  const privateKey = keyIn(key)
  if (!privateKey) {
    const message = 'use a private key in PEM ("-----BEGIN PRIVATE KEY-----") that needs no passphrase'
    return { of: 'key', message }
  }
  const belongs = (one: Certificate | undefined) => one?.x509.checkPrivateKey(privateKey) ?? false
  if (!belongs(own)) return { of: 'key', message: others.some(belongs) ? MISPLACED : MISMATCH }
  return own && at !== undefined ? faultOfTime(own, at) : undefined
}

const MISMATCH = 'use the key of this certificate: the two do not belong together'
const MISPLACED = 'put the certificate of this key first in its file: another one stands there'

/** What is wrong with a PEM file of certificates; what follows the file's name. */
export function faultOfCertificates(pem: string): string | undefined {
  try {
    return certificatesIn(pem).length === 0
      ? 'holds no certificate: use a PEM file with "-----BEGIN CERTIFICATE-----"'
      : undefined
  } catch (error) {
    return `is no PEM file of certificates: ${error instanceof Error ? error.message : 'odd'}`
  }
}

function keyIn(secret: Secret): KeyObject | undefined {
  try {
    return secret.privateKey()
  } catch {
    return undefined
  }
}

function faultOfTime({ notBefore, notAfter }: Certificate, at: number): PairFault | undefined {
  const say = (message: string) => ({ of: 'certificate', message }) as const
  if (at < notBefore) return say(`is good only from ${inWords(notBefore)} on: see that the clock is right`)
  return at <= notAfter ? undefined : say(`has expired on ${inWords(notAfter)}: renew it`)
}

function inWords(ms: number): string {
  return Number.isFinite(ms) ? new Date(ms).toISOString() : 'a time that cannot be read'
}
