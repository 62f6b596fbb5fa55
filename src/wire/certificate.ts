import { X509Certificate } from 'node:crypto'
import type { Certificate, KeyUse } from '../core/certificate.ts'
import { contentOf, type Der, readDer, readOid, TAGS } from './certificate-der.ts'

/** Extended key usages. @see RFC 5280 section 4.2.1.12 */
export const PURPOSES = {
  any: '2.5.29.37.0',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** The extensions that are read here, by object identifier. @see RFC 5280 section 4.2.1 */
const EXTENSIONS = {
  keyUsage: '2.5.29.15',
  alternativeNames: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  extendedKeyUsage: '2.5.29.37',
} as const

/** No policy is asked for, so that any will do. */
const POLICIES = '2.5.29.32'
const UNDERSTOOD: ReadonlySet<string> = new Set([...Object.values(EXTENSIONS), POLICIES])

/** As bits of the key usage, from the left. */
const KEY_USES: readonly (readonly [bit: number, use: KeyUse])[] = [
  [0, 'digitalSignature'],
  [5, 'keyCertSign'],
  [6, 'cRLSign'],
]

/** Types of names, as tags say them. @see RFC 5280 section 4.2.1.6 */
export const NAME_TAGS = { email: 0x81, dns: 0x82, uri: 0x86 } as const

/**
 * Reads what matters here of a certificate, from its DER: Node's `subjectaltname` is text for people, in which one name
 * could look like several (CVE-2021-44531, CVE-2021-44532).
 * @throws Error in words
 */
export function readCertificate(x509: X509Certificate): Certificate {
  const extensions = extensionsOf(x509.raw)
  const value = (oid: string) => extensions.get(oid)?.value
  const names = namesIn(value(EXTENSIONS.alternativeNames))
  const authority = authorityIn(value(EXTENSIONS.basicConstraints))
  return {
    x509,
    uris: names.get(NAME_TAGS.uri) ?? [],
    dnsNames: names.get(NAME_TAGS.dns) ?? [],
    emails: names.get(NAME_TAGS.email) ?? [],
    fingerprint: `sha256:${x509.fingerprint256.replaceAll(':', '').toLowerCase()}`,
    notBefore: x509.validFromDate.getTime(),
    notAfter: x509.validToDate.getTime(),
    authority,
    keyUses: keyUsesIn(value(EXTENSIONS.keyUsage)),
    extendedKeyUses: purposesIn(value(EXTENSIONS.extendedKeyUsage)),
    nameConstraints: value(EXTENSIONS.nameConstraints),
    notUnderstood: [...extensions]
      .filter(([oid, { critical }]) => critical && !UNDERSTOOD.has(oid))
      .map(([oid]) => oid),
  }
}

/**
 * The certificates in a PEM text, in their order; whatever stands between them is passed over.
 * @throws Error in words when one cannot be read
 */
export function certificatesIn(pem: string): Certificate[] {
  return (pem.match(CERTIFICATE) ?? []).map((block, index) => {
    try {
      return readCertificate(new X509Certificate(block))
    } catch (cause) {
      throw new Error(`certificate ${index + 1} cannot be read`, { cause })
    }
  })
}

interface Extension {
  readonly critical: boolean
  readonly value: Buffer
}

/** Version, serial number, signature, issuer, validity, subject and key come before what is optional. */
const FIELDS_BEFORE = 7
const EXTENSIONS_TAG = 0xa3

function extensionsOf(raw: Buffer): ReadonlyMap<string, Extension> {
  const [toBeSigned] = readDer(contentOf(raw, TAGS.sequence))
  if (toBeSigned?.tag !== TAGS.sequence) throw new Error('not a certificate')
  const found = readDer(toBeSigned.content)
    .slice(FIELDS_BEFORE)
    .find(({ tag }) => tag === EXTENSIONS_TAG)
  const extensions = new Map<string, Extension>()
  for (const one of found ? readDer(contentOf(found.content, TAGS.sequence)) : []) {
    const [oid, extension] = extensionOf(one)
    // RFC 5280 section 4.2: not more than one of each; of two, parsers believe different ones.
    if (extensions.has(oid)) throw new Error(`the extension ${oid} twice`)
    extensions.set(oid, extension)
  }
  return extensions
}

function extensionOf({ content }: Der): readonly [string, Extension] {
  const parts = readDer(content)
  const [oid, flag] = parts
  const isFlagged = parts.length === 3 && flag?.tag === TAGS.boolean && flag.content.equals(Buffer.from([0xff]))
  const value = parts.at(-1)
  if (oid?.tag !== TAGS.objectIdentifier || value?.tag !== TAGS.octetString || parts.length !== (isFlagged ? 3 : 2))
    throw new Error('an extension in a form of its own')
  return [readOid(oid.content), { critical: isFlagged, value: value.content }]
}

/** Names of the types that are read here; those of others are nobody's business here. */
function namesIn(value: Buffer | undefined): ReadonlyMap<number, readonly string[]> {
  const names = new Map<number, string[]>()
  for (const { tag, content } of value ? readDer(contentOf(value, TAGS.sequence)) : []) {
    if (tag !== NAME_TAGS.email && tag !== NAME_TAGS.dns && tag !== NAME_TAGS.uri) continue
    names.set(tag, [...(names.get(tag) ?? []), textOf(content)])
  }
  return names
}

/**
 * Printable ASCII: a NUL would end the name in some programs and not in others, a line break would forge a line of a log,
 * and what is no IA5String has no business in a name.
 * @throws Error in words
 */
export function textOf(content: Buffer): string {
  const isPlain = content.length > 0 && content.every((byte) => byte > 0x20 && byte < 0x7f)
  if (!isPlain) throw new Error('an alternative name that is not printable ASCII')
  return content.toString('latin1')
}

function authorityIn(value: Buffer | undefined): Certificate['authority'] {
  const [first, second, ...others] = value ? readDer(contentOf(value, TAGS.sequence)) : []
  if (first?.tag !== TAGS.boolean) return undefined
  if (!first.content.equals(Buffer.from([0xff])) || others.length > 0) throw new Error('odd basic constraints')
  if (!second) return { maxBelow: Number.POSITIVE_INFINITY }
  const [byte = 0x80] = second.content
  if (second.tag !== TAGS.integer || second.content.length !== 1 || byte > 0x7f) throw new Error('an odd path length')
  return { maxBelow: byte }
}

function keyUsesIn(value: Buffer | undefined): readonly KeyUse[] | undefined {
  if (!value) return undefined
  const [unused = 8, ...bytes] = contentOf(value, TAGS.bitString)
  if (unused > 7) throw new Error('an odd key usage')
  return KEY_USES.filter(([bit]) => ((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0).map(([, use]) => use)
}

function purposesIn(value: Buffer | undefined): readonly string[] | undefined {
  if (!value) return undefined
  return readDer(contentOf(value, TAGS.sequence)).map(({ tag, content }) => {
    if (tag !== TAGS.objectIdentifier) throw new Error('an odd extended key usage')
    return readOid(content)
  })
}
