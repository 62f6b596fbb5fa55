import { constants, X509Certificate } from 'node:crypto'
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls'
import type { ClientIdentity } from './client-identity.ts'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

let publicTrust: SecureContext | undefined

/**
 * Whom to believe about a peer's name: the authorities of this PEM text and no other, or, without it, the public ones
 * that come with Node. TLS 1.2 at least.
 * The public ones are named here because Node's own default also takes in NODE_EXTRA_CA_CERTS, where a machine may well
 * list the authority of an intercepting proxy.
 * @throws Error when the text holds no certificate, or one that cannot be read
 */
export function trustOf(caPem?: string): SecureContext {
  if (caPem !== undefined) return contextOf(certificatesIn(caPem))
  publicTrust ??= contextOf([...rootCertificates])
  return publicTrust
}

/**
 * The same, and what we show of ourselves to a peer that asks for a certificate. To be called for each connection: it is
 * the same context as long as the identity is the same object.
 * @throws as `trustOf`; what `identity` throws
 */
export function trustShowing(
  caPem: string | undefined,
  identity: () => ClientIdentity | undefined,
): () => SecureContext {
  const trusted = caPem === undefined ? [...rootCertificates] : certificatesIn(caPem)
  let made: { readonly context: SecureContext; readonly of: ClientIdentity | undefined } | undefined
  return () => {
    const of = identity()
    if (made === undefined || made.of !== of) made = { of, context: of ? contextOf(trusted, of) : trustOf(caPem) }
    return made.context
  }
}

/** Whether one of these certificates is that one. What cannot be read is not. */
export function holdsCertificate(pem: string, certificate: string): boolean {
  const wanted = new X509Certificate(certificate).fingerprint256
  return (pem.match(CERTIFICATE) ?? []).some((block) => fingerprintOf(block) === wanted)
}

function fingerprintOf(block: string): string | undefined {
  try {
    return new X509Certificate(block).fingerprint256
  } catch {
    return undefined
  }
}

function contextOf(ca: string[], identity?: ClientIdentity): SecureContext {
  return createSecureContext({
    ca,
    minVersion: 'TLSv1.2',
    // A peer that renegotiates could change who it is after it was verified (F15).
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    ...(identity && {
      cert: identity.certificate,
      key: identity.key.privateKey().export({ type: 'pkcs8', format: 'pem' }),
    }),
  })
}

/** createSecureContext passes over a CA text that it cannot read, and takes an empty one for "use the default" [Node 26.10]. */
function certificatesIn(pem: string): string[] {
  const blocks = pem.match(CERTIFICATE) ?? []
  if (blocks.length === 0) throw new Error('the file of the authorities holds no PEM certificate')
  return blocks.map(readable)
}

function readable(block: string, index: number): string {
  try {
    return new X509Certificate(block).toString()
  } catch (cause) {
    throw new Error(`certificate ${index + 1} in the file of the authorities cannot be read`, { cause })
  }
}
