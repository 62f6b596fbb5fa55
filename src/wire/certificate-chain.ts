import type { Certificate } from '../core/certificate.ts'
import { PURPOSES } from './certificate.ts'
import { faultOfNames } from './certificate-constraints.ts'

/** What is to be proved. */
export interface Claim {
  readonly leaf: Certificate
  /** What may lead up to an authority, in any order. */
  readonly others: readonly Certificate[]
  /** Whose word counts, and nobody else's. */
  readonly anchors: readonly Certificate[]
  /** Ms since the epoch. */
  readonly at: number
}

/** `until`: ms since the epoch; up to then, and including it, the same answer holds. */
export type Verdict = { readonly until: number; readonly fault?: undefined } | { readonly fault: string }

/** Longer than any that is in use; and what a caller may make us verify with a heap of look-alikes. */
const MAX_LENGTH = 8
const MAX_SIGNATURES = 24

/** What anybody signs with today; what is not here (SHA-1, MD5, RSA-PSS with parameters of its own) proves nothing. */
const SIGNATURES: ReadonlySet<string> = new Set([
  '1.2.840.113549.1.1.11', // sha256WithRSAEncryption
  '1.2.840.113549.1.1.12', // sha384WithRSAEncryption
  '1.2.840.113549.1.1.13', // sha512WithRSAEncryption
  '1.2.840.10045.4.3.2', // ecdsa-with-SHA256
  '1.2.840.10045.4.3.3', // ecdsa-with-SHA384
  '1.2.840.10045.4.3.4', // ecdsa-with-SHA512
  '1.3.101.112', // Ed25519
  '1.3.101.113', // Ed448
])
const MIN_RSA_BITS = 2048

/**
 * Whether these anchors vouch for a client certificate: a path of signatures, each made by an authority that is good at
 * this time, may sign that far down, and may sign these names, for clients.
 *
 * Our own, beside OpenSSL's: OpenSSL verifies once, at the handshake, against the one store of the door. A SPIFFE trust
 * domain must be judged by its own authorities alone, and which one it is, only the certificate says; and whatever was
 * true at the handshake may be over at the hundredth request. What is not understood is refused.
 * @see RFC 5280 section 6.1
 */
export function verifyChain(claim: Claim): Verdict {
  const search = new Search(claim)
  const path = search.itself() ?? search.climb([claim.leaf])
  return path ? { until: Math.min(...path.map(({ notAfter }) => notAfter)) } : { fault: search.fault }
}

class Search {
  readonly #claim: Claim
  #signatures = MAX_SIGNATURES
  /** What was wrong with the last path that led to an anchor. */
  fault = 'no authority that is trusted here has signed it'

  constructor(claim: Claim) {
    this.#claim = claim
  }

  /** A certificate that is listed as it is needs nobody else's word. */
  itself(): readonly Certificate[] | undefined {
    const { leaf, anchors } = this.#claim
    const isListed = anchors.some(({ fingerprint }) => fingerprint === leaf.fingerprint)
    return isListed && this.#isFit([leaf]) ? [leaf] : undefined
  }

  /** The first fit path that goes on from this one, up to an anchor. */
  climb(path: readonly Certificate[]): readonly Certificate[] | undefined {
    const { anchors, others } = this.#claim
    for (const anchor of anchors) {
      const whole = [...path, anchor]
      if (this.#isSigned(path, anchor) && this.#isFit(whole)) return whole
    }
    if (path.length >= MAX_LENGTH) return undefined
    for (const other of others) {
      const whole = this.#isNew(other, path) && this.#isSigned(path, other) ? this.climb([...path, other]) : undefined
      if (whole) return whole
    }
    return undefined
  }

  #isNew({ fingerprint }: Certificate, path: readonly Certificate[]): boolean {
    return path.every((one) => one.fingerprint !== fingerprint)
  }

  #isSigned(path: readonly Certificate[], { x509: issuer }: Certificate): boolean {
    const below = path.at(-1)
    if (!below?.x509.checkIssued(issuer) || !SIGNATURES.has(below.x509.signatureAlgorithmOid ?? '')) return false
    if (this.#signatures === 0) return false
    this.#signatures -= 1
    return verifies(below, issuer)
  }

  #isFit(path: readonly Certificate[]): boolean {
    const fault = faultOfPath(path, this.#claim.at)
    if (fault !== undefined) this.fault = fault
    return fault === undefined
  }
}

function verifies({ x509 }: Certificate, issuer: Certificate['x509']): boolean {
  try {
    return x509.verify(issuer.publicKey)
  } catch {
    // A kind of key that OpenSSL does not know.
    return false
  }
}

function faultOfPath(path: readonly Certificate[], at: number): string | undefined {
  for (const [index, one] of path.entries()) {
    const who = index === 0 ? 'it' : 'an authority above it'
    const fault = faultOfTime(one, at) ?? faultOfMeans(one) ?? (index === 0 ? undefined : faultOfAuthority(one, index))
    if (fault !== undefined) return `${who} ${fault}`
  }
  return path.flatMap((one, index) => path.slice(0, index).flatMap((below) => faultOfNames(one, below) ?? []))[0]
}

function faultOfTime({ notBefore, notAfter }: Certificate, at: number): string | undefined {
  if (at < notBefore) return 'is not valid yet'
  // Also where a time is not a number.
  return at >= notBefore && at <= notAfter ? undefined : 'has expired'
}

function faultOfMeans({ x509, notUnderstood }: Certificate): string | undefined {
  const modulusLength = modulusLengthOf(x509)
  if (modulusLength === 'unknown') return 'has a kind of key that is not understood'
  if (modulusLength !== undefined && modulusLength < MIN_RSA_BITS) return `has an RSA key below ${MIN_RSA_BITS} bits`
  return notUnderstood.length === 0 ? undefined : 'has a critical extension that is not understood'
}

function modulusLengthOf(x509: Certificate['x509']): number | 'unknown' | undefined {
  try {
    return x509.publicKey.asymmetricKeyDetails?.modulusLength
  } catch {
    return 'unknown'
  }
}

/** `below`: how many certificates it stands above, the leaf among them. */
function faultOfAuthority(one: Certificate, below: number): string | undefined {
  const { authority, keyUses, extendedKeyUses } = one
  if (!authority) return 'is no authority'
  if (keyUses && !keyUses.includes('keyCertSign')) return 'may not sign certificates'
  if (below - 1 > authority.maxBelow) return 'may not sign that far down'
  const isForClients = extendedKeyUses?.some((oid) => oid === PURPOSES.clientAuth || oid === PURPOSES.any) ?? true
  return isForClients ? undefined : 'may not sign for clients'
}
