import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/** A certificate and its private key (PKCS #8), both PEM. */
export interface Identity {
  readonly key: string
  readonly cert: string
}

/** A certificate authority for one run of the playground or of a test: its key never leaves the process that made it. */
export interface Authority {
  readonly certPem: string
  /** A server certificate for these DNS names and IP addresses. `expired`: it ended an hour ago. */
  issue(hosts: readonly string[], options?: { readonly expired?: boolean }): Promise<Identity>
}

/** A new authority: ECDSA P-256, valid for a day. */
export async function makeAuthority(name = 'Sallyport playground authority'): Promise<Authority> {
  const keys = await newKeys()
  const root = await X509CertificateGenerator.createSelfSigned({
    ...validFor(DAY_MS),
    serialNumber: newSerial(),
    name: `CN=${name}`,
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return {
    certPem: root.toString('pem'),
    issue: (hosts, { expired = false } = {}) => issueLeaf({ root, rootKey: keys.privateKey, hosts, expired }),
  }
}

/** A server certificate that vouches for itself alone. */
export async function makeSelfSigned(hosts: readonly string[]): Promise<Identity> {
  const keys = await newKeys()
  const leaf = await X509CertificateGenerator.createSelfSigned({
    ...validFor(DAY_MS),
    serialNumber: newSerial(),
    name: 'CN=self-signed',
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [...serverExtensions(hosts), await SubjectKeyIdentifierExtension.create(keys.publicKey)],
  })
  return identityOf(leaf, keys.privateKey)
}

interface Order {
  readonly root: X509Certificate
  readonly rootKey: webcrypto.CryptoKey
  readonly hosts: readonly string[]
  readonly expired: boolean
}

async function issueLeaf({ root, rootKey, hosts, expired }: Order): Promise<Identity> {
  const keys = await newKeys()
  const leaf = await X509CertificateGenerator.create({
    ...validFor(expired ? -HOUR_MS : DAY_MS),
    serialNumber: newSerial(),
    subject: `CN=${hosts[0] ?? 'nobody'}`,
    issuer: root.subject,
    publicKey: keys.publicKey,
    signingKey: rootKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      ...serverExtensions(hosts),
      await AuthorityKeyIdentifierExtension.create(root.publicKey),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return identityOf(leaf, keys.privateKey)
}

function serverExtensions(hosts: readonly string[]) {
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
    new SubjectAlternativeNameExtension(hosts.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }))),
  ]
}

function validFor(ms: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + ms) }
}

/** 16 bytes, positive and in their shortest form, as RFC 5280 section 4.1.2.2 asks. */
function newSerial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16))
  return `4${Buffer.from(bytes).toString('hex').slice(1)}`
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
}

async function identityOf(certificate: X509Certificate, privateKey: webcrypto.CryptoKey): Promise<Identity> {
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', privateKey)).toString('base64')
  const lines = key.match(/.{1,64}/g) ?? []
  return {
    key: `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`,
    cert: certificate.toString('pem'),
  }
}
