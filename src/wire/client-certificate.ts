import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { Certificate, ClientCertificate } from '../core/certificate.ts'
import { readCertificate } from './certificate.ts'
import { KeptVerdict } from './certificate-verdict.ts'
import { codeOf } from './opening.ts'

/** More than lead up to any authority. */
const MAX_OTHERS = 8

/**
 * The certificate that a client has shown in its handshake; undefined: none. To be asked once, when that is over.
 * `anchors`: the authorities of the door at any moment; asked at each judgement.
 */
export function clientCertificateOf(
  socket: TLSSocket,
  anchors: () => readonly Certificate[],
): ClientCertificate | undefined {
  const x509 = socket.getPeerX509Certificate()
  if (!x509) return undefined
  const others = othersSentWith(x509).flatMap((one) => readOrPassOver(one) ?? [])
  try {
    const leaf = readCertificate(x509)
    const verdict = new KeptVerdict(leaf, others)
    const atHandshake = faultAtHandshake(socket)
    return { leaf, others, faultAt: (at) => faultAt(anchors(), at, verdict) ?? atHandshake }
  } catch (error) {
    return { unreadable: error instanceof Error ? error.message : 'a certificate that cannot be read' }
  }
}

function faultAt(anchors: readonly Certificate[], at: number, verdict: KeptVerdict): string | undefined {
  if (anchors.length === 0) return 'the door it came through has no clientCa'
  return verdict.faultAt(anchors, at)
}

/** OpenSSL has linked them in the order in which they were sent; nobody has verified that they belong together. */
function othersSentWith(leaf: X509Certificate): X509Certificate[] {
  const others: X509Certificate[] = []
  for (let one = leaf.issuerCertificate; one && others.length < MAX_OTHERS; one = one.issuerCertificate)
    others.push(one)
  return others
}

/** Without it a path may not be found; that is for the verdict to say. */
function readOrPassOver(x509: X509Certificate): Certificate | undefined {
  try {
    return readCertificate(x509)
  } catch {
    return undefined
  }
}

/**
 * What OpenSSL found, against the same authorities as they were then: it knows more of X.509 than we do, so both have to be
 * content. `tls.Server` says so in public (`authorized`), but not of a socket that was accepted by hand; the handle has the
 * same answer [Node 26.10], and a test pins it.
 */
function faultAtHandshake(socket: TLSSocket): string | undefined {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { verifyError(): unknown } | null }
  if (!handle) return 'its connection was closed before it could be judged'
  const error = handle.verifyError()
  return error ? `OpenSSL did not accept it: ${codeOf(error)}` : undefined
}
