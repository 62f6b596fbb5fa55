import { isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect, type PeerCertificate, type SecureContext, type TLSSocket } from 'node:tls'
import { Problem } from '../core/problem.ts'
import { codeOf, opening } from './opening.ts'

/** What the peer has to prove, and until when. */
export interface TlsTerms {
  /** Canonical host, for SNI and for the certificate. */
  readonly host: string
  readonly context: SecureContext
  readonly signal: AbortSignal
  /** ALPN names to offer; `http/1.1` without it. */
  readonly protocols?: readonly string[]
}

const FIT_VERSIONS: readonly unknown[] = ['TLSv1.2', 'TLSv1.3']
// What breaks a link, as against what a handshake is refused for.
const LINK_ERRORS = new Set([
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'ECONNABORTED',
])

/**
 * TLS as a client over a connected socket, which is destroyed when it fails. Nothing was written before this returns.
 * NODE_TLS_REJECT_UNAUTHORIZED has no say here, and no session of another dial is resumed.
 * @throws Problem `upstream-untrusted`, `upstream-unreachable`; the signal's reason
 */
export async function secure(socket: Socket, terms: TlsTerms): Promise<TLSSocket> {
  const at = socket.remoteAddress
  try {
    const secured = await opening(startTls(socket, terms), 'secureConnect', terms.signal)
    return withFitVersion(secured)
  } catch (error) {
    socket.destroy()
    if (terms.signal.aborted) throw error
    const code = codeOf(error)
    const problem = LINK_ERRORS.has(code) ? 'upstream-unreachable' : 'upstream-untrusted'
    throw new Problem(problem, { reason: `${terms.host} at ${at}: ${inWords(code)}`, cause: error })
  }
}

/** The bytes that came back are no record of TLS. Until it shows a certificate it has proved nothing: it is untrusted, too. */
export const NO_TLS = 'ERR_SSL_WRONG_VERSION_NUMBER'

const TO_DO =
  'correct the port, turn TLS on there, or, for a test on one machine, set unsafeAllowPlaintextUpstream, or unsafeAllowPlaintextIssuer'

function inWords(code: string): string {
  return code === NO_TLS ? `what answers does not speak TLS (${code}): ${TO_DO}` : code
}

function startTls(socket: Socket, { host, context, protocols = ['http/1.1'] }: TlsTerms): TLSSocket {
  const name = host.replace(/^\[|\]$/g, '')
  return connect({
    socket,
    secureContext: context,
    // tls.connect throws when SNI is an address. @see RFC 6066 section 3
    servername: isIP(name) ? '' : name,
    rejectUnauthorized: true,
    checkServerIdentity: (_asked, certificate) => faultOfIdentity(name, certificate),
    ALPNProtocols: [...protocols],
  })
}

/** The context was made elsewhere and may allow older versions: `minVersion` beside it would be ignored. @see RFC 8996 */
function withFitVersion(socket: TLSSocket): TLSSocket {
  const version = socket.getProtocol()
  if (FIT_VERSIONS.includes(version)) return socket
  socket.destroy()
  throw Object.assign(new Error(`the peer chose ${version}`), { code: 'TLS_VERSION' })
}

/**
 * Node falls back to the common name where a certificate names no host; RFC 9525 section 2 has done away with that. The
 * error is made anew because Node's own carries the whole certificate into the log.
 */
function faultOfIdentity(name: string, certificate: PeerCertificate): Error | undefined {
  // An empty subject has no common name; the type wants all the fields that nobody reads.
  const nameless = { ...certificate, subject: {} as PeerCertificate['subject'] }
  const fault = checkServerIdentity(name, nameless)
  return fault && Object.assign(new Error('the certificate is for another name'), { code: codeOf(fault) })
}
