import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { Problem } from '../core/problem.ts'
import { exchangeEnclosed } from '../gate/enclosed.ts'
import { exchange } from '../gate/exchange.ts'
import type { Asked } from '../gate/trace.ts'
import { turnAway } from '../gate/turn-away.ts'
import { exchangeUpgrade, type Switching } from '../gate/upgrade.ts'
import type { Incoming } from '../relay/answer.ts'
import { type Framing, judgeHead } from '../wire/framing.ts'
import { http } from '../wire/node-http.ts'
import { HttpAnswer } from './http-answer.ts'
import type { Intake, Taken, Unfit } from './intake.ts'
import { type Line, newLine } from './line.ts'
import { refuseOnSocket } from './socket-answer.ts'

/** Every bound of the parser is said here, whatever Node's defaults are. */
const SERVER_OPTIONS: ServerOptions = {
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

/** What the door does with what is not an exchange. */
export interface Http1Hooks {
  /** What is known of a connection that begins; told once for each. */
  lineOf(socket: Socket): Line
  /** A CONNECT whose head is fit to be answered. */
  connect(request: IncomingMessage, socket: Socket, head: Buffer, line: Line): void
}

/** HTTP/1 on connections that a door has accepted, or that came out of a tunnel. It parses and answers. */
export class Http1 {
  /** Listens where the door binds it; connections may also be handed to it by `accept`. */
  readonly server: Server
  readonly #intake: Intake
  readonly #hooks: Http1Hooks
  readonly #lines = new WeakMap<Duplex, Line>()

  constructor(intake: Intake, hooks: Http1Hooks) {
    this.#intake = intake
    this.#hooks = hooks
    this.server = http.createServer(SERVER_OPTIONS)
    // Node counts these away silently; judgeHead refuses them aloud.
    this.server.maxHeadersCount = 0
    this.#listenToServer()
  }

  /** Serves a connection that did not come through a listening socket. */
  accept(socket: Socket, line: Line): void {
    this.#lines.set(socket, line)
    this.server.emit('connection', socket)
  }

  #listenToServer(): void {
    const { server } = this
    server.on('connection', (socket: Socket) => {
      if (!this.#lines.has(socket)) this.#lines.set(socket, this.#hooks.lineOf(socket))
    })
    server.on('request', (request, response) => this.#takeIn(request, response, false))
    server.on('checkContinue', (request, response) => this.#takeExpecting(request, response))
    server.on('checkExpectation', (request, response) => this.#refuseExpectation(request, response))
    server.on('connect', (request, socket, head) => this.#takeConnect(request, socket, head))
    server.on('upgrade', (request, socket, head) => this.#takeUpgrade(request, socket, head))
    server.on('clientError', (error, socket) => this.#malformed(error, socket))
  }

  #takeIn(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const line = this.#lineOf(request.socket)
    // Node has parsed what came in one packet with a request that ends the connection. @see RFC 9112 section 9.6
    if (line.answer?.isLast) return
    const { taken, framing } = this.#read(request, line)
    const answer = this.#answer(response, 'ask' in taken ? taken.ask : taken.asked)
    line.answer = answer
    if ('fault' in taken) {
      answer.isLast = true
      this.#intake.turnAway(taken, answer)
    } else {
      // Where 100 was asked for and none sent, Node closes.
      answer.isLast = expectsContinue && isEmpty(framing)
      const incoming = incomingOf(request, response, framing, expectsContinue)
      this.#intake.count(this.#exchange(taken, incoming, answer))
    }
  }

  #exchange({ ask, unfold }: Exclude<Taken, Unfit>, incoming: Incoming, answer: HttpAnswer): Promise<void> {
    const { gate } = this.#intake
    return unfold ? exchangeEnclosed({ ask, incoming, unfold }, answer, gate) : exchange(ask, incoming, answer, gate)
  }

  #takeUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const line = this.#handedOver(socket, request)
    if (!line) return
    const { taken, framing } = this.#read(request, line)
    const refuse = this.#refuserOf(socket)
    if ('fault' in taken) this.#intake.turnAway(taken, { refuse })
    else {
      // Shutdown waits for a handshake like for any answer, and not for the frames that follow.
      const { promise: handshake, resolve: switched } = Promise.withResolvers<void>()
      const switching = { socket, head, framing, refuse, switched }
      this.#intake.count(Promise.race([exchangeUpgrade(taken.ask, switching, this.#intake.gate), handshake]))
    }
  }

  #takeConnect(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const line = this.#handedOver(socket, request)
    // What a server of node:http and a TLS socket hand over are sockets; the type leaves room for other servers.
    if (line) this.#hooks.connect(request, socket as Socket, head, line)
  }

  #takeExpecting(request: IncomingMessage, response: ServerResponse): void {
    // Node looks for the word anywhere in the value.
    if (request.headers.expect?.toLowerCase() === '100-continue') this.#takeIn(request, response, true)
    else this.#refuseExpectation(request, response)
  }

  #refuseExpectation(request: IncomingMessage, response: ServerResponse): void {
    const line = this.#lineOf(request.socket)
    if (line.answer?.isLast) return
    const asked = this.#intake.asked(request.method ?? '', line)
    const answer = this.#answer(response, asked)
    answer.isLast = true
    line.answer = answer
    const fault = { code: 'expectation-failed', reason: 'an expectation other than 100-continue' } as const
    this.#intake.turnAway({ fault, asked }, answer)
  }

  #answer(response: ServerResponse, { id }: Asked): HttpAnswer {
    const { challenge } = this.#intake.reader
    return new HttpAnswer(response, { id, challenge, isDraining: () => this.#intake.isDraining })
  }

  #read(request: IncomingMessage, line: Line): { readonly taken: Taken; readonly framing: Framing } {
    const { rawHeaders: fields, httpVersion, method = '', url: target = '' } = request
    const judged = judgeHead({ fields, httpVersion })
    const fault = 'code' in judged ? judged : undefined
    const taken = this.#intake.take({ method, target, fields }, line, fault)
    return { taken, framing: 'code' in judged ? { body: 'none' } : judged }
  }

  #lineOf(socket: Duplex): Line {
    return this.#lines.get(socket) ?? newLine({})
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
    const fault = { code: 'request-malformed', reason: 'a tunnel or an upgrade behind an unanswered request' } as const
    const asked = this.#intake.asked(request.method ?? '', line)
    this.#intake.turnAway({ fault, asked }, { refuse: () => undefined })
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
    if (line.answer?.isReading) line.answer.spoil(problem)
    else if (line.answer?.isInProgress) line.answer.onceOver(() => this.#turnAwayUnread(problem, socket))
    else this.#turnAwayUnread(problem, socket)
  }

  #turnAwayUnread(problem: Problem, socket: Duplex): void {
    const refuse = this.#refuserOf(socket)
    const asked = this.#intake.asked('', this.#lineOf(socket))
    this.#intake.count(turnAway(asked, problem, { refuse }, this.#intake.gate))
  }

  #refuserOf(socket: Duplex): Switching['refuse'] {
    return (problem, id) => refuseOnSocket(socket, problem, id, this.#intake.reader.challenge)
  }
}

const PARSER_PROBLEMS: Readonly<Record<string, Problem['code']>> = {
  HPE_HEADER_OVERFLOW: 'head-too-large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
}

function isEmpty(framing: Framing): boolean {
  return framing.body === 'none' || (framing.body === 'length' && framing.length === 0)
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
