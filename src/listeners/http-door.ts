import { randomUUID } from 'node:crypto'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { resolve } from 'node:path'
import type { Duplex } from 'node:stream'
import type { Ask, Peer } from '../core/ask.ts'
import { Problem } from '../core/problem.ts'
import { exchange } from '../gate/exchange.ts'
import type { Asked } from '../gate/trace.ts'
import { turnAway, turnAwayKnown } from '../gate/turn-away.ts'
import { exchangeUpgrade, type Switching } from '../gate/upgrade.ts'
import type { Incoming } from '../relay/answer.ts'
import { type Fault, type Framing, judgeHead } from '../wire/framing.ts'
import { type Bound, bind, parseListen } from '../wire/listen.ts'
import { closeServer } from './close-server.ts'
import type { Door, DoorTools, Reader } from './door.ts'
import { HttpAnswer } from './http-answer.ts'
import { refuseOnSocket } from './socket-answer.ts'

/** What makes one HTTP door differ from another. */
export interface HttpDoorOptions {
  readonly kind: string
  readonly listen: string
  readonly mode: string
  readonly reader: Reader
}

const MAX_TARGET = 8192

/** Every bound of the parser is said here, whatever Node's defaults are. */
const SERVER_OPTIONS: http.ServerOptions = {
  insecureHTTPParser: false,
  requireHostHeader: true,
  maxHeaderSize: 16 * 1024,
  headersTimeout: 10_000,
  // Uploads may take as long as they move; limits.idleTimeoutMs ends those that do not.
  requestTimeout: 0,
  connectionsCheckingInterval: 1_000,
  keepAliveTimeout: 75_000,
  noDelay: true,
  shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
}

/** An HTTP/1 door on TCP or a Unix socket. It parses and answers; what happens in between is the gate's. */
export class HttpDoor implements Door {
  readonly kind: string
  readonly #options: HttpDoorOptions
  readonly #tools: DoorTools
  readonly #server: http.Server
  readonly #sockets = new Set<Socket>()
  readonly #peers = new WeakMap<Duplex, Peer>()
  /** The answer in progress on each socket, for when its request turns out to be malformed in the body. */
  readonly #answering = new WeakMap<Duplex, HttpAnswer>()
  #inFlight = 0
  #label: string
  #bound: Bound | undefined
  #isDraining = false

  constructor(options: HttpDoorOptions, tools: DoorTools) {
    this.kind = options.kind
    this.#options = options
    this.#tools = tools
    this.#label = options.kind
    this.#server = http.createServer(SERVER_OPTIONS)
    // Node counts these away silently; judgeHead refuses them aloud.
    this.#server.maxHeadersCount = 0
    this.#listenToServer()
  }

  get openSockets(): number {
    return this.#sockets.size
  }

  async open(): Promise<string> {
    const where = parseListen(this.#options.listen)
    if (typeof where === 'string') throw new Error(where)
    const at = where.kind === 'unix' ? { ...where, path: resolve(this.#tools.directory, where.path) } : where
    this.#bound = await bind(this.#server, at, { mode: Number.parseInt(this.#options.mode, 8) })
    this.#label = `${this.kind} ${this.#bound.address}`
    return this.#bound.address
  }

  async close(deadlineMs: number): Promise<void> {
    this.#isDraining = true
    await this.#bound?.release()
    await closeServer(this.#server, { deadlineMs, isIdle: () => this.#inFlight === 0, sockets: this.#sockets })
  }

  #listenToServer(): void {
    const server = this.#server
    server.on('connection', (socket: Socket) => this.#accepted(socket))
    server.on('request', (request, response) => this.#takeIn(request, response, false))
    server.on('checkContinue', (request, response) => this.#takeIn(request, response, true))
    server.on('checkExpectation', (request, response) => this.#refuseExpectation(request, response))
    server.on('connect', (request, socket) => this.#refuseConnect(request, socket))
    server.on('upgrade', (request, socket, head) => this.#takeUpgrade(request, socket, head))
    server.on('clientError', (error, socket) => this.#malformed(error, socket))
  }

  #accepted(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    const peer = this.#tools.peers?.read(socket)
    if (peer) this.#peers.set(socket, peer)
  }

  #takeIn(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const answer = new HttpAnswer(response, this.#options.reader.challenge, () => this.#isDraining)
    this.#answering.set(request.socket, answer)
    const taken = this.#read(request)
    this.#count(
      'fault' in taken
        ? turnAway(taken.asked, problemOf(taken.fault), answer, this.#tools.gate)
        : exchange(taken.ask, incomingOf(request, response, taken.framing, expectsContinue), answer, this.#tools.gate),
    )
  }

  #takeUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const taken = this.#read(request)
    const refuse: Switching['refuse'] = (problem, id) =>
      refuseOnSocket(socket, problem, id, this.#options.reader.challenge)
    this.#guard(socket)
    const done =
      'fault' in taken
        ? turnAway(taken.asked, problemOf(taken.fault), { refuse }, this.#tools.gate)
        : exchangeUpgrade(taken.ask, { socket, head, framing: taken.framing, refuse }, this.#tools.gate)
    done.catch((error: unknown) => this.#unforeseen(error))
  }

  #refuseConnect(request: IncomingMessage, socket: Duplex): void {
    this.#guard(socket)
    const { fields, asked } = this.#asked(request)
    const fault = judgeHead({ fields, httpVersion: request.httpVersion })
    const refuse: Switching['refuse'] = (problem, id) =>
      refuseOnSocket(socket, problem, id, this.#options.reader.challenge)
    const done =
      'code' in fault && request.httpVersion === '1.1'
        ? turnAway(asked, problemOf(fault), { refuse }, this.#tools.gate)
        : turnAwayKnown(
            { ...asked, evidence: this.#evidence(request, fields) },
            CONNECT_REFUSED,
            { refuse },
            this.#tools.gate,
          )
    done.catch((error: unknown) => this.#unforeseen(error))
  }

  #refuseExpectation(request: IncomingMessage, response: ServerResponse): void {
    const answer = new HttpAnswer(response, this.#options.reader.challenge, () => this.#isDraining)
    const problem = new Problem('expectation-failed', { reason: 'an expectation other than 100-continue' })
    this.#count(turnAway(this.#asked(request).asked, problem, answer, this.#tools.gate))
  }

  #read(request: IncomingMessage): Taken {
    const { fields, asked } = this.#asked(request)
    const framing = judgeHead({ fields, httpVersion: request.httpVersion })
    if ('code' in framing) return { fault: framing, asked }
    const target = request.url ?? ''
    if (target.length > MAX_TARGET)
      return { fault: { code: 'target-too-long', reason: `${target.length} bytes` }, asked }
    const reading = this.#options.reader.read({
      method: asked.method,
      target,
      fields,
      peer: this.#peers.get(request.socket),
    })
    if ('code' in reading) return { fault: reading, asked }
    return { ask: { ...asked, fields, ...reading }, framing }
  }

  #asked(request: IncomingMessage): { fields: readonly string[]; asked: Asked } {
    return { fields: request.rawHeaders, asked: { id: randomUUID(), door: this.#label, method: request.method ?? '' } }
  }

  /** CONNECT has an authority for a target; the proof stands where the door's reader looks for it. */
  #evidence(request: IncomingMessage, fields: readonly string[]): Ask['evidence'] {
    const reading = this.#options.reader.read({
      method: 'GET',
      target: PLACEHOLDER_TARGET,
      fields,
      peer: this.#peers.get(request.socket),
    })
    return 'code' in reading ? { keys: [], keysAre: 'certain' } : reading.evidence
  }

  /** Node has let go of these sockets: nobody else would hear their errors, and the process would end. */
  #guard(socket: Duplex): void {
    socket.on('error', () => socket.destroy())
  }

  #malformed(error: NodeJS.ErrnoException, socket: Duplex): void {
    // The parser stops at what follows `Connection: close`; the answer to the request before is still on its way.
    if (error.code === 'HPE_CLOSED_CONNECTION') return
    const problem = new Problem(PARSER_PROBLEMS[error.code ?? ''] ?? 'request-malformed', {
      reason: error.code ?? 'unreadable',
      cause: error,
    })
    const answer = this.#answering.get(socket)
    const id = randomUUID()
    if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy()
    else if (answer && this.#inFlight > 0) {
      // Its own exchange sees the socket close, and records that; a second answer on it would be taken for the first.
      answer.refuse(problem, id)
      socket.destroy()
    } else this.#turnAwayUnread(id, problem, socket)
  }

  #turnAwayUnread(id: string, problem: Problem, socket: Duplex): void {
    const refuse: Switching['refuse'] = (problem, id) =>
      refuseOnSocket(socket, problem, id, this.#options.reader.challenge)
    turnAway({ id, door: this.#label, method: '' }, problem, { refuse }, this.#tools.gate).catch((error: unknown) =>
      this.#unforeseen(error),
    )
  }

  #count(done: Promise<void>): void {
    this.#inFlight++
    done.catch((error: unknown) => this.#unforeseen(error)).finally(() => this.#inFlight--)
  }

  #unforeseen(error: unknown): void {
    this.#tools.log.error({ door: this.#label, error: String(error) }, 'an exchange rejected, which it never should')
  }
}

type Taken = { readonly ask: Ask; readonly framing: Framing } | { readonly fault: Fault; readonly asked: Asked }

const PLACEHOLDER_TARGET = 'http://connect.invalid/'
const CONNECT_REFUSED = new Problem('connect-refused', { reason: 'CONNECT' })

const PARSER_PROBLEMS: Readonly<Record<string, Problem['code']>> = {
  HPE_HEADER_OVERFLOW: 'head-too-large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
}

function problemOf({ code, reason }: Fault): Problem {
  return new Problem(code, { reason })
}

function incomingOf(
  request: IncomingMessage,
  response: ServerResponse,
  framing: Framing,
  expectsContinue: boolean,
): Incoming {
  let isWaiting = expectsContinue
  return {
    framing,
    stream: request,
    proceed() {
      if (isWaiting) response.writeContinue()
      isWaiting = false
    },
  }
}
