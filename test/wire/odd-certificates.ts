import type { Identity } from '../support/certificates.ts'
import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

const DAY_MS = 86_400_000
const CURVE = { name: 'ECDSA', namedCurve: 'P-256' }

/** What a certificate may be used for. */
export { ExtendedKeyUsage } from '@peculiar/x509'

/** How a certificate of `makeOddAuthority` differs from a good one for its host. */
export interface Oddity {
  readonly startsInMs?: number
  readonly usage?: x509.ExtendedKeyUsage
  readonly hash?: 'SHA-1' | 'SHA-256'
  /** Names in the SAN; an empty list leaves the extension out, so that only the common name is left. */
  readonly names?: readonly string[]
}

/** An authority that signs what an honest one would not. */
export async function makeOddAuthority() {
  const keys = await newKeys()
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    ...from(-DAY_MS),
    serialNumber: '01',
    name: 'CN=Odd authority',
    keys,
    signingAlgorithm: { ...CURVE, hash: 'SHA-256' },
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  })

  async function issue(host: string, { startsInMs = -DAY_MS, hash = 'SHA-256', ...oddity }: Oddity): Promise<Identity> {
    const own = await newKeys()
    const leaf = await x509.X509CertificateGenerator.create({
      ...from(startsInMs),
      serialNumber: '02',
      subject: `CN=${host}`,
      issuer: root.subject,
      publicKey: own.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: { ...CURVE, hash },
      extensions: extensionsOf(host, oddity),
    })
    return { cert: leaf.toString('pem'), key: await pemOf(own.privateKey) }
  }

  return { certPem: root.toString('pem'), issue }
}

function extensionsOf(
  host: string,
  { usage = x509.ExtendedKeyUsage.serverAuth, names = [host] }: Oddity,
): x509.Extension[] {
  const known = new x509.ExtendedKeyUsageExtension([usage])
  if (names.length === 0) return [known]
  return [known, new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns', value })))]
}

function from(startsInMs: number): { notBefore: Date; notAfter: Date } {
  const start = Date.now() + startsInMs
  return { notBefore: new Date(start), notAfter: new Date(start + 2 * DAY_MS) }
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(CURVE, true, ['sign', 'verify'])
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const bytes = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key))
  return `-----BEGIN PRIVATE KEY-----\n${bytes.toString('base64')}\n-----END PRIVATE KEY-----\n`
}
