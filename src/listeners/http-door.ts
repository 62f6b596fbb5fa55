import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { resolve } from 'node:path'
import { type Bound, bind, parseListen } from '../wire/listen.ts'
import { closeServer } from './close-server.ts'
import { Connects } from './connects.ts'
import type { Door, DoorTools, Reader } from './door.ts'
import { Http1 } from './http1.ts'
import { Intake } from './intake.ts'
import { type Line, newLine } from './line.ts'

/** What makes one HTTP door differ from another. */
export interface HttpDoorOptions {
  readonly kind: string
  readonly listen: string
  readonly mode: string
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
  readonly #connects: Connects
  readonly #sockets = new Set<Socket>()
  #bound: Bound | undefined

  constructor(options: HttpDoorOptions, tools: DoorTools) {
    this.kind = options.kind
    this.#options = options
    this.#tools = tools
    this.#intake = new Intake(options.kind, options.reader, tools)
    this.#connects = new Connects(this.#intake, { ...tools, hasTunnels: options.hasTunnels, sockets: this.#sockets })
    this.#http1 = new Http1(this.#intake, {
      lineOf: (socket) => this.#accepted(socket),
      connect: (request: IncomingMessage, socket, head, line) => this.#connects.take({ request, socket, head, line }),
    })
  }

  get openSockets(): number {
    return this.#sockets.size
  }

  async open(): Promise<string> {
    const where = parseListen(this.#options.listen)
    if (typeof where === 'string') throw new Error(where)
    const at = where.kind === 'unix' ? { ...where, path: resolve(this.#tools.directory, where.path) } : where
    this.#bound = await bind(this.#http1.server, at, { mode: Number.parseInt(this.#options.mode, 8) })
    this.#intake.label = `${this.kind} ${this.#bound.address}`
    this.#connects.label = `intercept ${this.#bound.address}`
    return this.#bound.address
  }

  async close(deadlineMs: number): Promise<void> {
    this.#intake.isDraining = true
    await this.#bound?.release()
    await closeServer(this.#http1.server, {
      deadlineMs,
      isIdle: () => this.#intake.isIdle && this.#connects.isIdle,
      closeIdle: () => this.#connects.closeIdle(),
      sockets: this.#sockets,
    })
  }

  #accepted(socket: Socket): Line {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    return newLine({ peer: this.#tools.peers?.read(socket), address: socket.remoteAddress })
  }
}
