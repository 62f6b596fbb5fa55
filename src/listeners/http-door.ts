import type { IncomingMessage } from 'node:http'
import type { Server, Socket } from 'node:net'
import type { ClientCertificate } from '../core/certificate.ts'
import type { Bound } from '../wire/listen.ts'
import { openPlace, type Place } from '../wire/open-place.ts'
import { ServerTls } from '../wire/server-tls.ts'
import { closeServer } from './close-server.ts'
import { Connects } from './connects.ts'
import type { Door, DoorTools, Reader } from './door.ts'
import { Http1 } from './http1.ts'
import { Intake } from './intake.ts'
import { type Line, newLine } from './line.ts'
import { SecureEntry } from './secure-entry.ts'
import type { DoorTls } from './settings.ts'
import { Tunnels } from './tunnels.ts'
import { Turnstile } from './turnstile.ts'

/** What makes one HTTP door differ from another. */
export interface HttpDoorOptions extends Place {
  readonly kind: string
  /** Whoever can open this door is this caller. */
  readonly caller?: string | undefined
  readonly tls?: DoorTls | undefined
  readonly maxSockets: number
  readonly reader: Reader
  /** Whether CONNECT may open a tunnel here. */
  readonly hasTunnels: boolean
}

/** An HTTP door on TCP or a Unix socket. It parses and answers; what happens in between is the gate's. */
export class HttpDoor implements Door {
  readonly kind: string
  readonly #options: HttpDoorOptions
  readonly #tools: DoorTools
  readonly #intake: Intake
  readonly #http1: Http1
  readonly #tunnels: Tunnels | undefined
  readonly #turnstile: Turnstile
  readonly #sockets = new Set<Socket>()
  /** Where connections come in. */
  readonly #entry: Server
  #bound: Bound | undefined

  constructor(options: HttpDoorOptions, tools: DoorTools) {
    this.kind = options.kind
    this.#options = options
    this.#tools = tools
    this.#turnstile = new Turnstile(options.kind, options.maxSockets, tools)
    this.#intake = new Intake(options.kind, options.reader, tools)
    this.#tunnels = options.hasTunnels ? new Tunnels(this.#intake, { ...tools, sockets: this.#sockets }) : undefined
    const connects = new Connects(this.#intake, this.#tunnels)
    this.#http1 = new Http1(this.#intake, {
      lineOf: (socket) => this.#accepted(socket),
      connect: (request: IncomingMessage, socket, head, line) => connects.take({ request, socket, head, line }),
    })
    this.#entry = options.tls ? this.#secureEntry(options.tls) : this.#http1.server
  }

  get openSockets(): number {
    return this.#sockets.size
  }

  async open(): Promise<string> {
    const { tls, caller } = this.#options
    const { directory, passed } = this.#tools
    const around = { directory, passed, allowNonLoopback: tls !== undefined, isProof: caller !== undefined }
    this.#bound = await openPlace(this.#entry, this.#options, around)
    this.#intake.label = `${this.kind} ${this.#bound.address}`
    if (this.#tunnels) this.#tunnels.label = `intercept ${this.#bound.address}`
    return this.#bound.address
  }

  async close(deadlineMs: number): Promise<void> {
    this.#intake.isDraining = true
    await this.#bound?.release()
    // Of one that never opened, too: then it has nothing to close.
    if (this.#entry !== this.#http1.server) this.#entry.close()
    await closeServer(this.#http1.server, {
      deadlineMs,
      isIdle: () => this.#intake.isIdle && (this.#tunnels?.isIdle ?? true),
      closeIdle: () => this.#tunnels?.closeIdle(),
      sockets: this.#sockets,
    })
  }

  #secureEntry({ certificate, key, clientCa }: DoorTls): Server {
    const { references, asksForCertificates, log } = this.#tools
    const tls = new ServerTls({
      certificate: () => references.file(certificate),
      key: references.secret(key),
      clientCa: clientCa && (() => references.file(clientCa)),
      now: () => this.#tools.gate.clock.now(),
      onFault: (message) => log.error({ error: message }, 'a certificate changed for the worse'),
    })
    // Node bounds the time for a head, and knows which connections are idle, only from this event on.
    this.#http1.server.emit('listening')
    const accept = (socket: Socket, shown: ClientCertificate | undefined) =>
      this.#http1.accept(socket, newLine({ address: socket.remoteAddress, certificate: shown }))
    const asksForCertificate = asksForCertificates || clientCa !== undefined
    const admit = (socket: Socket) => this.#turnstile.admit(socket, newLine({ address: socket.remoteAddress }))
    return new SecureEntry({ tls, asksForCertificate, sockets: this.#sockets, log, admit, accept }).server
  }

  #accepted(socket: Socket): Line {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    const line = newLine({ peer: this.#tools.peers?.read(socket), address: socket.remoteAddress })
    this.#turnstile.admit(socket, line)
    return line
  }
}
