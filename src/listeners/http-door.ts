import { randomUUID } from 'node:crypto'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { resolve } from 'node:path'
import type { Duplex } from 'node:stream'
import type { Ask } from '../core/ask.ts'
import { Problem } from '../core/problem.ts'
import { exchange } from '../gate/exchange.ts'
import type { Asked } from '../gate/trace.ts'
import { turnAway, turnAwayKnown } from '../gate/turn-away.ts'
import { exchangeUpgrade, type Switching } from '../gate/upgrade.ts'
import type { Incoming } from '../relay/answer.ts'
import { type Fault, type Framing, judgeHead } from '../wire/framing.ts'
import { type Bound, bind, parseListen } from '../wire/listen.ts'
import { closeServer } from './close-server.ts'
import { faultOfConnect, targetOfConnect } from './connect.ts'
import type { Door, DoorTools, Reader } from './door.ts'
import { HttpAnswer } from './http-answer.ts'
import { type Line, newLine } from './line.ts'
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
  // Node would answer by itself, unrecorded, and take in what follows; judgeHead refuses it like any other fault.
  requireHostHeader: false,
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
  readonly #lines = new WeakMap<Duplex, Line>()
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
    server.on('checkContinue', (request, response) => this.#takeExpecting(request, response))
    server.on('checkExpectation', (request, response) => this.#refuseExpectation(request, response))
    server.on('connect', (request, socket) => this.#refuseConnect(request, socket))
    server.on('upgrade', (request, socket, head) => this.#takeUpgrade(request, socket, head))
    server.on('clientError', (error, socket) => this.#malformed(error, socket))
  }

  #accepted(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    this.#lines.set(socket, newLine(this.#tools.peers?.read(socket)))
  }

  #takeIn(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const line = this.#lineOf(request.socket)
    // Node has parsed what came in one packet with a request that ends the connection. @see RFC 9112 section 9.6
    if (line.answer?.isLast) return
    const answer = new HttpAnswer(response, this.#options.reader.challenge, () => this.#isDraining)
    line.answer = answer
    const taken = this.#read(request, line)
    if ('fault' in taken) {
      answer.isLast = true
      this.#count(turnAway(taken.asked, problemOf(taken.fault), answer, this.#tools.gate))
    } else {
      // Where 100 was asked for and none sent, Node closes.
      answer.isLast = expectsContinue && isEmpty(taken.framing)
      const incoming = incomingOf(request, response, taken.framing, expectsContinue)
      this.#count(exchange(taken.ask, incoming, answer, this.#tools.gate))
    }
  }

  #takeUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const line = this.#handedOver(socket, request)
    if (!line) return
    const taken = this.#read(request, line)
    const refuse = this.#refuserOf(socket)
    if ('fault' in taken) this.#count(turnAway(taken.asked, problemOf(taken.fault), { refuse }, this.#tools.gate))
    else {
      // Shutdown waits for a handshake like for any answer, and not for the frames that follow.
      const { promise: handshake, resolve: switched } = Promise.withResolvers<void>()
      const switching = { socket, head, framing: taken.framing, refuse, switched }
      this.#count(Promise.race([exchangeUpgrade(taken.ask, switching, this.#tools.gate), handshake]))
    }
  }

  #refuseConnect(request: IncomingMessage, socket: Duplex): void {
    const line = this.#handedOver(socket, request)
    if (!line) return
    const { fields, asked: head } = this.#asked(request)
    const asked = { ...head, ...targetOfConnect(request) }
    const fault = faultOfConnect(request, fields)
    const refuse = this.#refuserOf(socket)
    const evidence = this.#evidence(fields, line)
    const done = fault
      ? turnAway(asked, problemOf(fault), { refuse }, this.#tools.gate)
      : turnAwayKnown({ ...asked, evidence }, CONNECT_REFUSED, { refuse }, this.#tools.gate)
    this.#count(done)
  }

  #takeExpecting(request: IncomingMessage, response: ServerResponse): void {
    // Node looks for the word anywhere in the value.
    if (request.headers.expect?.toLowerCase() === '100-continue') this.#takeIn(request, response, true)
    else this.#refuseExpectation(request, response)
  }

  #refuseExpectation(request: IncomingMessage, response: ServerResponse): void {
    const line = this.#lineOf(request.socket)
    if (line.answer?.isLast) return
    const answer = new HttpAnswer(response, this.#options.reader.challenge, () => this.#isDraining)
    answer.isLast = true
    line.answer = answer
    const problem = new Problem('expectation-failed', { reason: 'an expectation other than 100-continue' })
    this.#count(turnAway(this.#asked(request).asked, problem, answer, this.#tools.gate))
  }

  #read(request: IncomingMessage, line: Line): Taken {
    const { fields, asked } = this.#asked(request)
    const framing = judgeHead({ fields, httpVersion: request.httpVersion })
    if ('code' in framing) return { fault: framing, asked }
    const target = request.url ?? ''
    if (target.length > MAX_TARGET)
      return { fault: { code: 'target-too-long', reason: `${target.length} bytes` }, asked }
    const reading = this.#options.reader.read({ method: asked.method, target, fields, line })
    if ('code' in reading) return { fault: reading, asked }
    return { ask: { ...asked, fields, ...reading }, framing }
  }

  #asked(request: IncomingMessage): { fields: readonly string[]; asked: Asked } {
    return { fields: request.rawHeaders, asked: { id: randomUUID(), door: this.#label, method: request.method ?? '' } }
  }

  /** CONNECT has an authority for a target; the proof stands where the door's reader looks for it. */
  #evidence(fields: readonly string[], line: Line): Ask['evidence'] {
    const reading = this.#options.reader.read({ method: 'GET', target: this.#placeholder(), fields, line })
    return 'code' in reading ? { keys: [], keysAre: 'certain' } : reading.evidence
  }

  #placeholder(): string {
    return this.#options.reader.challenge === 'proxy' ? 'http://connect.invalid/' : '/'
  }

  #lineOf(socket: Duplex): Line {
    return this.#lines.get(socket) ?? newLine(undefined)
  }

  /**
   * The line of a socket that Node has let go of; undefined when nothing on it is answered any more. Nobody else would
   * hear its errors, and the process would end.
   */
  #handedOver(socket: Duplex, request: IncomingMessage): Line | undefined {
    socket.on('error', () => socket.destroy())
    const line = this.#lineOf(socket)
    if (line.answer?.isLast) return undefined
    if (!line.answer?.isInProgress) return line
    // What is written next would be taken for the answer to the request before.
    socket.destroy()
    const problem = new Problem('request-malformed', { reason: 'a tunnel or an upgrade behind an unanswered request' })
    this.#count(turnAway(this.#asked(request).asked, problem, { refuse: () => undefined }, this.#tools.gate))
    return undefined
  }

  #malformed(error: NodeJS.ErrnoException, socket: Duplex): void {
    // The parser stops at what follows `Connection: close`; the answer to the request before is still on its way.
    if (error.code === 'HPE_CLOSED_CONNECTION') return
    const line = this.#lineOf(socket)
    // With each further packet the parser says so again.
    if (line.isUnreadable || line.answer?.isLast) return
    line.isUnreadable = true
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
    const reason = error.code ?? 'unreadable'
    const problem = new Problem(PARSER_PROBLEMS[reason] ?? 'request-malformed', { reason, cause: error })
    if (line.answer?.isReading) line.answer.spoil(problem, randomUUID())
    else if (line.answer?.isInProgress) line.answer.onceOver(() => this.#turnAwayUnread(problem, socket))
    else this.#turnAwayUnread(problem, socket)
  }

  #turnAwayUnread(problem: Problem, socket: Duplex): void {
    const asked = { id: randomUUID(), door: this.#label, method: '' }
    const refuse = this.#refuserOf(socket)
    this.#count(turnAway(asked, problem, { refuse }, this.#tools.gate))
  }

  #refuserOf(socket: Duplex): Switching['refuse'] {
    return (problem, id) => refuseOnSocket(socket, problem, id, this.#options.reader.challenge)
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

const CONNECT_REFUSED = new Problem('connect-refused', { reason: 'CONNECT' })

const PARSER_PROBLEMS: Readonly<Record<string, Problem['code']>> = {
  HPE_HEADER_OVERFLOW: 'head-too-large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
}

function isEmpty(framing: Framing): boolean {
  return framing.body === 'none' || (framing.body === 'length' && framing.length === 0)
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
