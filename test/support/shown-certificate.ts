import { X509Certificate } from 'node:crypto'
import type { Evidence } from '../../src/core/ask.ts'
import type { ClientCertificate, ReadableClientCertificate } from '../../src/core/certificate.ts'
import { certificatesIn, readCertificate } from '../../src/wire/certificate.ts'
import { KeptVerdict } from '../../src/wire/certificate-verdict.ts'

interface Shown {
  readonly cert: string
  /** PEM of what was sent with it. */
  readonly with?: string
  /** PEM of the authorities of the door. */
  readonly clientCa?: string
}

/** A client certificate as a door hands it on; what OpenSSL says at the handshake is not asked here. */
export function shownCertificate({ cert, with: sent = '', clientCa = '' }: Shown): ReadableClientCertificate {
  const leaf = readCertificate(new X509Certificate(cert))
  const others = certificatesIn(sent)
  const anchors = certificatesIn(clientCa)
  const verdict = new KeptVerdict(leaf, others)
  return { leaf, others, faultAt: (at) => verdict.faultAt(anchors, at) }
}

/** Evidence of nothing but a certificate. */
export function byCertificate(certificate: ClientCertificate): Evidence {
  return { certificate, keys: [], keysAre: 'certain' }
}
