import type { Socket } from 'node:net'
import { TLSSocket, type TLSSocketOptions } from 'node:tls'
import { parseHost } from '../core/host.ts'
import { Problem } from '../core/problem.ts'

type AnsweringTlsOptions = Pick<
  TLSSocketOptions,
  'secureContext' | 'ALPNProtocols' | 'requestCert' | 'rejectUnauthorized'
>

/** TLS in which we are the server, on a socket that has been accepted already. */
export class AnsweringTls extends TLSSocket {
  readonly #beneath: Socket

  constructor(beneath: Socket, options: AnsweringTlsOptions) {
    super(beneath, { ...options, isServer: true })
    this.#beneath = beneath
    // It would be on, as it is on the socket beneath, and a client that leaves in the middle would keep us waiting.
    this.allowHalfOpen = false
  }

  /** What is cut short ends in a reset, as on plain TCP; of TLS Node has none, and throws [26.10]. */
  override resetAndDestroy(): this {
    this.#beneath.resetAndDestroy()
    return this
  }
}

/** How a handshake ended. `late`: not in time. `closed`: the client left in the middle. */
export type HandshakeEnd = 'secure' | 'late' | 'closed' | { readonly error: unknown }

/** Waits for a TLS handshake in which we are the server; the socket is closed unless it is `secure`. Never rejects. */
export function finishHandshake(socket: TLSSocket, timeoutMs: number): Promise<HandshakeEnd> {
  // Stays for good: an error after this must not end the process.
  socket.on('error', () => socket.destroy())
  return new Promise((resolve) => {
    const done = (end: HandshakeEnd) => {
      clearTimeout(timer)
      if (end !== 'secure') socket.destroy()
      resolve(end)
    }
    const timer = setTimeout(() => done('late'), timeoutMs)
    socket.once('secure', () => done('secure'))
    // The event of tls.Server, without which a failed handshake says no more than 'close'; emitted since Node 0.x.
    socket.once('_tlsError', (error: unknown) => done({ error }))
    socket.once('close', () => done('closed'))
  })
}

/** The same for a tunnel to this host. Resolves with what went wrong, the socket then being closed. */
export async function shakeHands(socket: TLSSocket, host: string, timeoutMs: number): Promise<Problem | undefined> {
  const end = await finishHandshake(socket, timeoutMs)
  if (end === 'late') return unfit('the TLS handshake took too long')
  if (end === 'closed') return unfit(LEFT)
  if (end !== 'secure') return problemOf(end.error)
  if (isFor(host, socket)) return undefined
  socket.destroy()
  return unfit('the handshake was for another server')
}

/** In TLS 1.3 a client has our certificate before the handshake is over; Node's leaves then, without an alert. */
const LEFT = 'closed in the middle of the TLS handshake: so does a client that does not trust our certificate'

/** We have read the name in the first ClientHello; after a HelloRetryRequest there is a second one. */
function isFor(host: string, { servername }: TLSSocket & { readonly servername?: unknown }): boolean {
  return typeof servername === 'string' && parseHost(servername) === host
}

function unfit(reason: string, cause?: unknown): Problem {
  return new Problem('tunnel-unfit', { reason, cause })
}

/** How OpenSSL names the alerts by which clients say that a certificate is not to their liking. */
const REJECTION = /ALERT_(UNKNOWN_CA|(?:BAD|UNSUPPORTED)_CERTIFICATE|CERTIFICATE_[A-Z]+)$/

function problemOf(error: unknown): Problem {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'no code'
  const [, words] = REJECTION.exec(code) ?? []
  if (!words) return unfit(`the TLS handshake failed: ${code}`, error)
  const said = words
    .toLowerCase()
    .replaceAll('_', ' ')
    .replace(/\bca\b/, 'CA')
  return new Problem('certificate-rejected', { reason: `the client rejected our certificate: ${said}`, cause: error })
}
