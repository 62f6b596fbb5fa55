import { createServer, type Server, type Socket } from 'node:net'
import type { ClientCertificate } from '../core/certificate.ts'
import { describe, type Logger } from '../telemetry/logger.ts'
import { clientCertificateOf } from '../wire/client-certificate.ts'
import { codeOf } from '../wire/opening.ts'
import type { ServerTls } from '../wire/server-tls.ts'
import { AnsweringTls, finishHandshake } from './handshake.ts'

interface Parts {
  readonly tls: ServerTls
  /** Whether clients are asked to show a certificate. None has to. */
  readonly asksForCertificate: boolean
  /** All connections of the door, those in a handshake included. */
  readonly sockets: Set<Socket>
  readonly log: Logger
  /** Whether a connection may come in at all; otherwise it is closed already. */
  admit(socket: Socket): boolean
  /** Serves a connection whose handshake is over. */
  accept(socket: Socket, certificate: ClientCertificate | undefined): void
}

/** For all of a handshake, so that nobody can sit in it for long. */
const HANDSHAKE_MS = 10_000

/**
 * HTTP/1.1 and nothing else. A proxy that is asked by HTTP/2 gets each CONNECT as a stream, which is no socket that TLS
 * could be answered on, and nearly no client of HTTP_PROXY asks so; our HTTP/2 serves what comes out of tunnels. With a list,
 * OpenSSL ends the handshake of a client that offers none of it; one that offers nothing is served (RFC 7301).
 */
const PROTOCOLS = ['http/1.1']

/** Where connections to a TLS door come in: accepts them, shakes hands, and hands over what is ready to be served. */
export class SecureEntry {
  readonly server: Server
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
    // As http.Server has it.
    this.server = createServer({ allowHalfOpen: true, noDelay: true }, (raw) => {
      if (parts.admit(raw)) void this.#answer(raw)
    })
  }

  /** Never rejects. */
  async #answer(raw: Socket): Promise<void> {
    // TLS takes over what it reads and writes, but not all that can go wrong with it.
    raw.on('error', () => raw.destroy())
    this.#track(raw)
    try {
      await this.#shakeHands(raw)
    } catch (error) {
      raw.destroy()
      this.#parts.log.error({ error: describe(error) }, 'a TLS connection could not be taken in')
    }
  }

  async #shakeHands(raw: Socket): Promise<void> {
    const { tls, asksForCertificate, log } = this.#parts
    const secured = new AnsweringTls(raw, {
      secureContext: tls.context(),
      ALPNProtocols: PROTOCOLS,
      requestCert: asksForCertificate,
      // It is asked for, and not demanded: what it proves is judged at each request, and a key may do instead.
      rejectUnauthorized: false,
    })
    const end = await finishHandshake(secured, HANDSHAKE_MS)
    if (end !== 'secure') return log.debug({ reason: inWords(end) }, 'a TLS handshake failed')
    this.#handOver(secured, raw)
  }

  /** At shutdown it is the outer socket that says goodbye: ended beneath it, TLS would be cut short. */
  #handOver(secured: AnsweringTls, raw: Socket): void {
    const { sockets, tls, accept } = this.#parts
    this.#track(secured)
    sockets.delete(raw)
    // From here on a client may say that it has no more to send, as at a plain door.
    secured.allowHalfOpen = true
    accept(
      secured,
      clientCertificateOf(secured, () => tls.anchors()),
    )
  }

  #track(socket: Socket): void {
    const { sockets } = this.#parts
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  }
}

function inWords(end: Exclude<Awaited<ReturnType<typeof finishHandshake>>, 'secure'>): string {
  return typeof end === 'string' ? end : codeOf(end.error)
}
