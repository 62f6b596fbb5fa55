import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { CertificateAuthority } from '../ca/authority.ts'
import type { Evidence } from '../core/ask.ts'
import type { Passage } from '../core/passage.ts'
import { Problem } from '../core/problem.ts'
import { closeUnfit, faultOfFlight, HANDSHAKE_MS } from '../gate/first-bytes.ts'
import type { Outcome } from '../relay/http.ts'
import { readFirstFlight } from '../wire/first-flight.ts'
import type { DoorTools } from './door.ts'
import { AnsweringTls, shakeHands } from './handshake.ts'
import { Http1 } from './http1.ts'
import { Http2 } from './http2.ts'
import { insideReader } from './inside.ts'
import { Intake } from './intake.ts'
import { type Line, newLine, type Tunnel } from './line.ts'
import { refuseOnSocket } from './socket-answer.ts'

interface Tools extends DoorTools {
  readonly sockets: Set<Socket>
}

/** A tunnel that the gate lets us open. */
export interface Opening {
  readonly passage: Passage
  readonly socket: Socket
  readonly head: Buffer
  readonly evidence: Evidence
}

/**
 * The door within a door: answers the TLS of a tunnel in the name of its host, and serves what comes out like any other
 * request. Who asks, and whether they may, is judged anew at each of them.
 */
export class Interception {
  readonly #authority: CertificateAuthority | undefined
  readonly #sockets: Set<Socket>
  readonly #intake: Intake
  readonly #http1: Http1
  readonly #http2: Http2

  constructor(tools: Tools) {
    this.#authority = tools.authority
    this.#sockets = tools.sockets
    this.#intake = new Intake('intercept', insideReader, tools)
    this.#http1 = new Http1(this.#intake, {
      lineOf: () => newLine({}),
      connect: (_request, socket, _head, line) => this.#refuseNested(socket, line),
    })
    // Node bounds the time for a head, and knows which connections are idle, only from this event on.
    this.#http1.server.emit('listening')
    this.#http2 = new Http2(this.#intake)
  }

  set label(label: string) {
    this.#intake.label = label
  }

  get isIdle(): boolean {
    return this.#intake.isIdle
  }

  closeIdle(): void {
    this.#intake.isDraining = true
    this.#http1.server.closeIdleConnections()
    this.#http2.closeIdle()
  }

  /** Serves the tunnel; resolves when its first request is in, or none will come. Never rejects. */
  async open(opening: Opening): Promise<Outcome> {
    const { socket, head, passage } = opening
    try {
      const flight = await readFirstFlight(socket, head, { timeoutMs: HANDSHAKE_MS })
      if (flight.kind === 'other' && passage.plain) return await this.#serve(socket, opening, 'http')
      const unfit = passage.tls === 'open' ? faultOfFlight(flight, passage.host, true) : NO_TLS_HERE
      if (!unfit) return await this.#serveTls(opening)
      closeUnfit(socket, unfit)
      return ended(unfit.problem)
    } catch (error) {
      socket.destroy()
      return ended(Problem.from(error))
    }
  }

  async #serveTls(opening: Opening): Promise<Outcome> {
    const { passage, socket } = opening
    if (!this.#authority) throw new Problem('internal-error', { reason: 'nothing to answer TLS with' })
    const secureContext = await this.#authority.contextFor(passage.host)
    const secured = new AnsweringTls(socket, { secureContext, ALPNProtocols: ['h2', 'http/1.1'] })
    const problem = await shakeHands(secured, passage.host, HANDSHAKE_MS)
    return problem ? ended(problem) : this.#serve(secured, opening, 'https')
  }

  /** Hands the connection to the protocol that was agreed on, and waits for the first request. */
  #serve(socket: Socket, { passage, evidence, socket: raw }: Opening, scheme: Tunnel['scheme']): Promise<Outcome> {
    this.#take(socket, raw)
    return new Promise((resolve) => {
      const { host, port } = passage
      const line = newLine({}, { host, port, scheme, evidence, entered: () => resolve(OPENED) })
      socket.once('close', () => resolve(scheme === 'https' ? UNUSED_TLS : UNUSED))
      if (socket instanceof TLSSocket && socket.alpnProtocol === 'h2') this.#http2.accept(socket, line)
      else this.#http1.accept(socket, line)
    })
  }

  /** At shutdown it is the outer socket that says goodbye: ended beneath it, TLS would be cut short. */
  #take(socket: Socket, raw: Socket): void {
    if (socket === raw) return
    this.#sockets.delete(raw)
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  #refuseNested(socket: Socket, { tunnel }: Line): void {
    const fault = { code: 'connect-refused', reason: 'CONNECT within a tunnel' } as const
    const refuse = (problem: Problem, id: string) => refuseOnSocket(socket, problem, id, insideReader.challenge)
    const asked = { ...this.#intake.asked('CONNECT'), ...(tunnel && { evidence: tunnel.evidence }) }
    tunnel?.entered()
    this.#intake.turnAway({ fault, asked }, { refuse })
  }
}

const NO_TLS_HERE = {
  problem: new Problem('tunnel-unfit', { reason: 'TLS, or nothing in time, where plain HTTP was announced' }),
  alert: undefined,
}

const OPENED: Outcome = { ended: 'complete', status: 200, bytesIn: 0, bytesOut: 0 }
const UNUSED: Outcome = { ...OPENED, ended: 'gone', note: 'closed without a request' }
const UNUSED_TLS: Outcome = {
  ...UNUSED,
  note: 'closed without a request: so does a client that does not trust our certificate',
}

function ended(problem: Problem): Outcome {
  return { ...OPENED, ended: 'broken', problem }
}
