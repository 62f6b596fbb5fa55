import { randomBytes, webcrypto } from 'node:crypto'
import type * as x509 from '@peculiar/x509'
import { addressOf } from './names.ts'
import type * as parts from './x509-library.ts'

/** A certificate and its private key (PKCS #8), both PEM. */
export interface Identity {
  readonly key: string
  readonly cert: string
}

/** ECDSA P-256. `id`: the key identifier of RFC 5280 section 4.2.1.2, in hex. */
export interface KeyPair {
  readonly privateKey: webcrypto.CryptoKey
  readonly publicKey: x509.PublicKey
  readonly id: string
}

/** Who signs. */
export interface Issuer extends KeyPair {
  /** As its own certificate has it, byte for byte: Go compares names so. */
  readonly name: x509.Name
}

/** What a certificate says. Times: ms since the epoch. */
export interface Draft {
  readonly keys: Pick<KeyPair, 'publicKey' | 'id'>
  readonly from: number
  readonly until: number
  readonly use: AuthorityUse | ServerUse
}

/** An authority that signs servers, and no further authority. */
export interface AuthorityUse {
  readonly commonName: string
  /** DER of the extension's value; without it, any name may be signed. */
  readonly nameConstraints?: Uint8Array<ArrayBuffer>
}

/** A server with these names and addresses. */
export interface ServerUse {
  readonly hosts: readonly string[]
}

const CURVE = { name: 'ECDSA', namedCurve: 'P-256' }
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' }
/** Upper bound of the X.520 common name. */
const MAX_COMMON_NAME = 64
const NAME_CONSTRAINTS = '2.5.29.30'

/** The library, loaded when the first certificate is made: a sidecar without `ca` spares its 10 MB. */
export function library(): Promise<typeof parts> {
  return import('./x509-library.ts')
}

/** A new key. `privatePem` can read it out again. */
export async function newKeys(): Promise<KeyPair> {
  const pair = await webcrypto.subtle.generateKey(CURVE, true, ['sign', 'verify'])
  const { PublicKey } = await library()
  return withId(pair.privateKey, await PublicKey.create(pair.publicKey))
}

/** The private key of `newKeys` as PKCS #8. */
export async function privatePem({ privateKey }: KeyPair): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', privateKey)
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`
}

/** Who signs in the name of this authority. The key cannot be read out of what is returned. */
export async function issuerOf({ key, cert }: Identity): Promise<Issuer> {
  const { PemConverter, X509Certificate } = await library()
  const der = PemConverter.decodeFirst(key)
  const privateKey = await webcrypto.subtle.importKey('pkcs8', der, CURVE, false, ['sign'])
  const certificate = new X509Certificate(cert)
  return { ...(await withId(privateKey, certificate.publicKey)), name: certificate.subjectName }
}

/** A certificate that its own key signs, as PEM. */
export async function selfSign(draft: Draft & { readonly keys: KeyPair }): Promise<string> {
  return sign(draft, { ...draft.keys, name: await subjectOf(draft.use) })
}

/** A certificate, as PEM. */
export async function sign({ keys, from, until, use }: Draft, issuer: Issuer): Promise<string> {
  const { AuthorityKeyIdentifierExtension, SubjectKeyIdentifierExtension, X509CertificateGenerator } = await library()
  const certificate = await X509CertificateGenerator.create({
    serialNumber: newSerial(),
    notBefore: new Date(from),
    notAfter: new Date(until),
    subject: await subjectOf(use),
    issuer: issuer.name,
    publicKey: keys.publicKey,
    signingKey: issuer.privateKey,
    signingAlgorithm: SIGNATURE,
    extensions: [
      ...(await extensionsOf(use)),
      new SubjectKeyIdentifierExtension(keys.id),
      ...(keys.id === issuer.id ? [] : [new AuthorityKeyIdentifierExtension(issuer.id)]),
    ],
  })
  return `${certificate.toString('pem')}\n`
}

/** The value of the name constraints of a certificate, DER. */
export async function nameConstraintsOf(cert: string): Promise<Buffer | undefined> {
  const { X509Certificate } = await library()
  const found = new X509Certificate(cert).getExtension(NAME_CONSTRAINTS)
  return found ? Buffer.from(found.value) : undefined
}

async function withId(privateKey: webcrypto.CryptoKey, publicKey: x509.PublicKey): Promise<KeyPair> {
  const id = Buffer.from(await publicKey.getKeyIdentifier()).toString('hex')
  return { privateKey, publicKey, id }
}

/** 16 bytes, positive and in their shortest form. @see RFC 5280 section 4.1.2.2 */
function newSerial(): string {
  return `4${randomBytes(16).toString('hex').slice(1)}`
}

async function subjectOf(use: Draft['use']): Promise<x509.Name> {
  const { Name } = await library()
  const commonName = 'hosts' in use ? commonNameOf(use) : use.commonName
  return new Name(commonName === undefined ? [] : [{ CN: [commonName] }])
}

/**
 * A name that fits. An address never does: OpenSSL takes it for a DNS name where there is no other, and holds it against
 * the name constraints.
 */
function commonNameOf({ hosts: [first] }: ServerUse): string | undefined {
  return first !== undefined && first.length <= MAX_COMMON_NAME && addressOf(first) === undefined ? first : undefined
}

async function extensionsOf(use: Draft['use']): Promise<x509.Extension[]> {
  return 'hosts' in use ? serverExtensions(use) : authorityExtensions(use)
}

async function authorityExtensions({ nameConstraints }: AuthorityUse): Promise<x509.Extension[]> {
  const { BasicConstraintsExtension, Extension, KeyUsageFlags, KeyUsagesExtension } = await library()
  return [
    new BasicConstraintsExtension(true, 0, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
    ...(nameConstraints ? [new Extension(NAME_CONSTRAINTS, true, nameConstraints)] : []),
  ]
}

async function serverExtensions(use: ServerUse): Promise<x509.Extension[]> {
  const {
    BasicConstraintsExtension,
    ExtendedKeyUsage,
    ExtendedKeyUsageExtension,
    KeyUsageFlags,
    KeyUsagesExtension,
    SubjectAlternativeNameExtension,
  } = await library()
  const names = use.hosts.map(
    (host) => ({ type: addressOf(host) ? 'ip' : 'dns', value: addressOf(host) ?? host }) as const,
  )
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
    // Critical where the subject is empty: RFC 5280 section 4.2.1.6.
    new SubjectAlternativeNameExtension([...names], commonNameOf(use) === undefined),
  ]
}
