import { constants, type KeyObject } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { Certificate } from '../core/certificate.ts'
import type { HeldSecret, Secret } from '../core/secret.ts'
import { certificatesIn, PURPOSES } from './certificate.ts'
import { faultOfCertificates, faultOfPair, type PairFault } from './certificate-pair.ts'

/** What a TLS door shows of itself, and whom it believes: files as they stand at each call. */
export interface ServerTlsParts {
  /** PEM: its certificate, then those that lead up to an authority. */
  readonly certificate: () => string
  readonly key: HeldSecret
  /** PEM of the authorities that vouch for callers; without it, none does. */
  readonly clientCa?: (() => string) | undefined
  readonly now: () => number
  /** Told once for each cause, in words, why what was there before stays in use. */
  onFault(message: string): void
}

/** What the files hold: the same strings and the same number as long as nothing has changed. */
interface State {
  readonly certificate: string
  readonly clientCa: string | undefined
  readonly key: number
}

/** What one handshake is done with. */
interface Made {
  readonly of: State
  readonly context: SecureContext
  readonly anchors: readonly Certificate[]
}

/**
 * The TLS of one door, from files that may change at any time. A connection keeps what it was opened with; the next one gets
 * what is there then. Certificate and key are two files and change one after the other, so until they belong together
 * the pair before is used.
 */
export class ServerTls {
  readonly #parts: ServerTlsParts
  #made: Made
  /** What could not be used; told once. */
  #refused: State | undefined

  /** @throws Error in words */
  constructor(parts: ServerTlsParts) {
    this.#parts = parts
    this.#made = this.#make(this.#state())
  }

  /** For the next handshake. */
  context(): SecureContext {
    return this.#current().context
  }

  /** The authorities that vouch for callers at this moment. The same array as long as they are the same. */
  anchors(): readonly Certificate[] {
    return this.#current().anchors
  }

  #current(): Made {
    const state = this.#state()
    if (!isSame(state, this.#made.of) && !(this.#refused && isSame(state, this.#refused))) this.#renew(state)
    return this.#made
  }

  #renew(state: State): void {
    try {
      this.#made = this.#make(state)
    } catch (error) {
      this.#refused = state
      const reason = error instanceof Error ? error.message : String(error)
      this.#parts.onFault(`${reason}. The certificate that was there before stays in use`)
    }
  }

  #make(state: State): Made {
    const { key, now } = this.#parts
    const { secret } = key.current()
    const fault = faultOfServerCertificate(state.certificate, secret, now())
    if (fault !== undefined) throw new Error(`the ${fault.of} of a listener: ${fault.message}`)
    const anchors = state.clientCa === undefined ? [] : certificatesIn(state.clientCa)
    return { of: state, context: contextOf(state.certificate, secret.privateKey(), anchors), anchors }
  }

  #state(): State {
    const { certificate, key, clientCa } = this.#parts
    return { certificate: certificate(), clientCa: clientCa?.(), key: key.current().version }
  }
}

function isSame(one: State, other: State): boolean {
  return one.certificate === other.certificate && one.clientCa === other.clientCa && one.key === other.key
}

/** Whether a door could show this certificate with this key at this time (ms since the epoch); undefined: it could. */
export function faultOfServerCertificate(pem: string, key: Secret, at: number): PairFault | undefined {
  const fault = faultOfServerCertificates(pem)
  return fault === undefined ? faultOfPair(pem, key, at) : { of: 'certificate', message: fault }
}

/** What is wrong with a file of the certificates that a door shows, whatever its key; what follows the file's name. */
export function faultOfServerCertificates(pem: string): string | undefined {
  const fault = faultOfCertificates(pem)
  if (fault !== undefined) return fault
  const [own] = certificatesIn(pem)
  return own?.extendedKeyUses?.includes(PURPOSES.serverAuth) === false
    ? 'may not be shown by a server: use a certificate with the extended key usage serverAuth'
    : undefined
}

function contextOf(cert: string, key: KeyObject, anchors: readonly Certificate[]): SecureContext {
  return createSecureContext({
    cert: certificatesIn(cert)
      .map(({ x509 }) => x509.toString())
      .join(''),
    key: key.export({ type: 'pkcs8', format: 'pem' }),
    // Their names are sent to the client, which chooses its certificate by them. Without any, an empty list: Node would
    // take the public authorities instead, and believe whomever they sign.
    ca: anchors.map(({ x509 }) => x509.toString()),
    minVersion: 'TLSv1.2',
    // A client that renegotiates could become another after it was judged. A session that is resumed brings along what was
    // found out about the client's certificate when it began, under authorities that may be gone since: so none is.
    // Without tickets there is nothing to resume by, because Node keeps no sessions [26.10].
    secureOptions:
      constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET | constants.SSL_OP_CIPHER_SERVER_PREFERENCE,
  })
}
