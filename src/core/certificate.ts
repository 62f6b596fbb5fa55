import type { X509Certificate } from 'node:crypto'

/** What a key may be used for, of what matters here. @see RFC 5280 section 4.2.1.3 */
export type KeyUse = 'digitalSignature' | 'keyCertSign' | 'cRLSign'

/** What stands in a certificate. Nobody has vouched for any of it yet. */
export interface Certificate {
  readonly x509: X509Certificate
  /** Subject alternative names by type: printable ASCII and nothing else, exactly as they stand there. */
  readonly uris: readonly string[]
  readonly dnsNames: readonly string[]
  readonly emails: readonly string[]
  /** SHA-256 of all of it, as `sha256:` and 64 lower-case hex digits. */
  readonly fingerprint: string
  /** Ms since the epoch; good at both. NaN where a time cannot be read, and then good at none. */
  readonly notBefore: number
  readonly notAfter: number
  /** Present where it may sign others; `maxBelow`: how many authorities may stand between it and a leaf. */
  readonly authority: { readonly maxBelow: number } | undefined
  /** Absent where it does not say. */
  readonly keyUses: readonly KeyUse[] | undefined
  /** Object identifiers; absent where it does not say. */
  readonly extendedKeyUses: readonly string[] | undefined
  /** DER of the value of its name constraints. */
  readonly nameConstraints: Buffer | undefined
  /** Object identifiers of what it says must be understood, and is not. */
  readonly notUnderstood: readonly string[]
}

/**
 * The certificate of a caller. TLS has proved that the caller holds its key, and nothing more. `unreadable`: it was shown,
 * and is none that can be read strictly; why, in words.
 */
export type ClientCertificate = ReadableClientCertificate | { readonly unreadable: string; readonly leaf?: undefined }

/** One that can be read. */
export interface ReadableClientCertificate {
  readonly leaf: Certificate
  /** What came with it and may lead up to an authority, in any order. */
  readonly others: readonly Certificate[]
  /**
   * Why the authorities of the door (`clientCa`) do not vouch for it at this time, in words; undefined: they do. Asked at
   * each request: certificates expire while a connection is open, and authorities are taken off the list.
   */
  faultAt(at: number): string | undefined
}
