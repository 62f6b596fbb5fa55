/** Tests and playground make their certificates alike. */
export { type Authority, type Identity, makeAuthority, makeSelfSigned } from '../../src/playground/certificates.ts'

import 'reflect-metadata'
import { randomBytes, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import type { Identity } from '../../src/playground/certificates.ts'

const DAY_MS = 86_400_000
const CURVE = { name: 'ECDSA', namedCurve: 'P-256' }
const { digitalSignature, keyCertSign } = x509.KeyUsageFlags

/** What stands in a certificate, where it is not the usual: one for clients, good since yesterday until tomorrow. */
export interface Draft {
  readonly uris?: readonly string[]
  readonly dns?: readonly string[]
  readonly emails?: readonly string[]
  /** DER of the alternative names, instead of those. */
  readonly names?: Uint8Array<ArrayBuffer>
  readonly commonName?: string
  /** Ms since the epoch. */
  readonly from?: number
  readonly until?: number
  /** Whether it says that it is an authority; that of `under` does. */
  readonly isAuthority?: boolean
  readonly pathLength?: number
  /** undefined: the usual ones. 'none': it does not say. */
  readonly keyUsage?: x509.KeyUsageFlags | 'none'
  readonly purposes?: readonly x509.ExtendedKeyUsage[] | 'none'
  readonly hash?: 'SHA-1' | 'SHA-256'
  readonly extensions?: readonly x509.Extension[]
}

/** Flags of a key usage, purposes of an extended one, and any extension at all. */
export const { ExtendedKeyUsage, Extension, KeyUsageFlags } = x509

/** An authority that signs whatever it is asked to. */
export interface OddAuthority {
  readonly certPem: string
  /** A certificate by it, and its key. */
  issue(draft: Draft): Promise<Identity>
  /** An authority below it, or what pretends to be one. */
  under(draft?: Draft): Promise<OddAuthority>
}

/** A root of trust for one test. Its signatures are real, what they are under need not be right. */
export async function makeOddRoot(draft: Draft = {}): Promise<OddAuthority> {
  const keys = await newKeys()
  const name = `CN=${draft.commonName ?? `root ${randomBytes(4).toString('hex')}`}`
  const certPem = await sign({ isAuthority: true, ...draft }, { keys, subject: name }, { keys, name })
  return authority({ keys, name }, certPem)
}

/** A certificate that its own key has signed. */
export async function makeSelfMade(draft: Draft): Promise<Identity> {
  const keys = await newKeys()
  const name = `CN=${draft.commonName ?? 'self'}`
  return { cert: await sign(draft, { keys, subject: name }, { keys, name }), key: await pemOf(keys.privateKey) }
}

interface Signer {
  readonly keys: webcrypto.CryptoKeyPair
  readonly name: string
}

function authority(signer: Signer, certPem: string): OddAuthority {
  return {
    certPem,
    async issue(draft) {
      const keys = await newKeys()
      const cert = await sign(draft, { keys, subject: `CN=${draft.commonName ?? 'a client'}` }, signer)
      return { cert, key: await pemOf(keys.privateKey) }
    },
    async under(draft = {}) {
      const keys = await newKeys()
      const name = `CN=${draft.commonName ?? `below ${randomBytes(4).toString('hex')}`}`
      const cert = await sign({ isAuthority: true, ...draft }, { keys, subject: name }, signer)
      return authority({ keys, name }, cert)
    },
  }
}

interface Holder {
  readonly keys: webcrypto.CryptoKeyPair
  readonly subject: string
}

async function sign(draft: Draft, { keys, subject }: Holder, signer: Signer): Promise<string> {
  const made = await x509.X509CertificateGenerator.create({
    serialNumber: `4${randomBytes(8).toString('hex').slice(1)}`,
    notBefore: new Date(draft.from ?? Date.now() - DAY_MS),
    notAfter: new Date(draft.until ?? Date.now() + DAY_MS),
    subject,
    issuer: signer.name,
    publicKey: keys.publicKey,
    signingKey: signer.keys.privateKey,
    signingAlgorithm: { name: 'ECDSA', hash: draft.hash ?? 'SHA-256' },
    extensions: extensionsOf(draft),
  })
  return `${made.toString('pem')}\n`
}

function extensionsOf(draft: Draft): x509.Extension[] {
  const { isAuthority = false, pathLength, keyUsage, purposes = isAuthority ? 'none' : undefined } = draft
  const flags = keyUsage ?? (isAuthority ? keyCertSign : digitalSignature)
  const uses = purposes ?? [x509.ExtendedKeyUsage.clientAuth, x509.ExtendedKeyUsage.serverAuth]
  return [
    new x509.BasicConstraintsExtension(isAuthority, pathLength, true),
    ...(flags === 'none' ? [] : [new x509.KeyUsagesExtension(flags, true)]),
    ...(uses === 'none' ? [] : [new x509.ExtendedKeyUsageExtension([...uses])]),
    ...namesOf(draft),
    ...(draft.extensions ?? []),
  ]
}

function namesOf({ uris = [], dns = [], emails = [], names }: Draft): x509.Extension[] {
  if (names) return [new x509.Extension('2.5.29.17', false, names)]
  const all = [
    ...uris.map((value) => ({ type: 'url', value }) as const),
    ...dns.map((value) => ({ type: 'dns', value }) as const),
    ...emails.map((value) => ({ type: 'email', value }) as const),
  ]
  return all.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(all)]
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(CURVE, true, ['sign', 'verify'])
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const bytes = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key))
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`
}
