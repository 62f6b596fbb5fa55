import { X509Certificate } from 'node:crypto'
import { createLocalJWKSet, type JWK, type JWTVerifyGetKey } from 'jose'
import type { Certificate } from '../core/certificate.ts'
import { certificatesIn, readCertificate } from '../wire/certificate.ts'

/** Those who may speak for one trust domain, and for no other. */
export interface Authorities {
  /** For X.509-SVIDs. The same array as long as the bundle is the same. */
  readonly anchors: readonly Certificate[]
  /** For JWT-SVIDs; absent where the bundle has no keys for them. */
  readonly keys: JWTVerifyGetKey | undefined
}

/** The bundle of one trust domain, as its file stands. */
export class TrustBundle {
  readonly #text: () => string
  #read: { readonly text: string; readonly authorities: Authorities } | undefined

  /** `text`: what the file holds now; it was found right. */
  constructor(text: () => string) {
    this.#text = text
  }

  authorities(): Authorities {
    const text = this.#text()
    if (this.#read?.text !== text) this.#read = { text, authorities: authoritiesIn(text) }
    return this.#read.authorities
  }
}

/** What is wrong with the text of a bundle; what follows the name of the file. */
export function faultOfBundle(text: string): string | undefined {
  try {
    if (text.includes('PRIVATE KEY-----')) return 'holds a private key: use the trust bundle, which has none'
    const { anchors, keys } = readBundle(text)
    const odd = anchors.findIndex(({ authority }) => !authority)
    if (odd !== -1) return `is no trust bundle: certificate ${odd + 1} is no authority`
    return anchors.length + keys.length === 0 ? NOTHING : undefined
  } catch (error) {
    return `is no trust bundle: ${error instanceof Error ? error.message : 'odd'}`
  }
}

const NOTHING = 'has no authority in it: use PEM certificates, or a JWK Set with keys of use "x509-svid" or "jwt-svid"'

interface Read {
  readonly anchors: readonly Certificate[]
  readonly keys: readonly JWK[]
}

function authoritiesIn(text: string): Authorities {
  const { anchors, keys } = readBundle(text)
  return { anchors, keys: keys.length === 0 ? undefined : createLocalJWKSet({ keys: [...keys] }) }
}

/** PEM holds authorities for X.509-SVIDs alone; a JWK Set may hold both kinds. @see SPIFFE Trust Domain and Bundle section 4 */
function readBundle(text: string): Read {
  if (!text.trimStart().startsWith('{')) return { anchors: certificatesIn(text), keys: [] }
  const set: unknown = JSON.parse(text)
  const keys = isObject(set) && Array.isArray(set['keys']) ? set['keys'].filter(isObject) : undefined
  if (!keys) throw new Error('its JSON has no list "keys"')
  return {
    anchors: keys.filter(({ use }) => use === 'x509-svid').flatMap(anchorOf),
    keys: keys.filter(({ use }) => use === 'jwt-svid').flatMap(keyOf),
  }
}

/** The first certificate of x5c is the entry; what has none is passed over. @see X509-SVID section 6.2 */
function anchorOf({ x5c }: Readonly<Record<string, unknown>>): Certificate[] {
  const [der]: unknown[] = Array.isArray(x5c) ? x5c : []
  return typeof der === 'string' ? [readCertificate(new X509Certificate(Buffer.from(der, 'base64')))] : []
}

const MEMBERS = ['kty', 'kid', 'crv', 'x', 'y', 'n', 'e'] as const

/** Only what makes a public key: `use` is SPIFFE's own, and libraries that know another pass the key over. */
function keyOf(entry: Readonly<Record<string, unknown>>): JWK[] {
  if (entry['kty'] !== 'RSA' && entry['kty'] !== 'EC') return []
  const members = MEMBERS.flatMap((name) => (typeof entry[name] === 'string' ? [[name, entry[name]] as const] : []))
  // What is missing among them, the import of the key says.
  return [Object.fromEntries(members)]
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
