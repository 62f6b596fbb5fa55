import { hash } from 'node:crypto'
import type { HeldSecret, Secret } from '../core/secret.ts'
import { certificatesIn, PURPOSES } from './certificate.ts'
import { faultOfCertificates, faultOfPair } from './certificate-pair.ts'

/** What we show of ourselves, as a client, to whoever asks for a certificate. */
export interface ClientIdentity {
  /** PEM: our certificate, then those that lead up to an authority. */
  readonly certificate: string
  /** The private key of it. */
  readonly key: Secret
  /** SHA-256 of the certificate's DER, base64url: `x5t#S256`. @see RFC 8705 section 3.1 */
  readonly thumbprint: string
}

/** Where it is kept: both as they stand at each call. */
export interface ClientFiles {
  readonly certificate: () => string
  readonly key: HeldSecret
}

interface Held {
  readonly certificate: string
  readonly key: number
}

/**
 * The identity that two files make together. They change one after the other, so until they belong together the pair
 * before is used.
 */
export class LiveIdentity {
  readonly #files: ClientFiles
  #made: { readonly of: Held; readonly identity: ClientIdentity } | undefined
  /** What did not belong together: not looked at twice. */
  #refused: Held | undefined
  #version = 0

  constructor(files: ClientFiles) {
    this.#files = files
  }

  /** The same object as long as it is the same identity. @throws Error in words, when there never was a pair */
  current(): ClientIdentity {
    const { certificate, key } = this.#files
    const { secret, version } = key.current()
    const held = { certificate: certificate(), key: version }
    if (this.#made && (isSame(held, this.#made.of) || isSame(held, this.#refused))) return this.#made.identity
    const fault = faultOfPair(held.certificate, secret)
    if (!fault) return this.#take(held, secret)
    this.#refused = held
    if (this.#made) return this.#made.identity
    throw new Error(`the ${fault.of} of the client: ${fault.message}`)
  }

  /** Grows with each change of what is used, or of what there is while nothing can be. */
  version(): number {
    try {
      this.current()
    } catch {
      return this.#files.key.current().version
    }
    return this.#version
  }

  #take(held: Held, key: Secret): ClientIdentity {
    const chain = certificatesIn(held.certificate).map(({ x509 }) => x509)
    const certificate = chain.map(String).join('')
    const thumbprint = hash('sha256', chain[0]?.raw ?? '', 'base64url')
    this.#made = { of: held, identity: { certificate, key, thumbprint } }
    // Beyond whatever was told before there was a pair.
    this.#version += held.key + 1
    return this.#made.identity
  }
}

function isSame(one: Held, other: Held | undefined): boolean {
  return one.certificate === other?.certificate && one.key === other.key
}

/** What is wrong with a file of the certificates that a client shows, whatever its key; what follows the file's name. */
export function faultOfClientCertificates(pem: string): string | undefined {
  const fault = faultOfCertificates(pem)
  if (fault !== undefined) return fault
  const [own] = certificatesIn(pem)
  return own?.extendedKeyUses?.includes(PURPOSES.clientAuth) === false
    ? 'may not be shown by a client: use a certificate with the extended key usage clientAuth'
    : undefined
}
