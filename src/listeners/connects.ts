import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Evidence } from '../core/ask.ts'
import { Problem } from '../core/problem.ts'
import type { AskedPassage } from '../gate/admit.ts'
import { exchangeConnect } from '../gate/connect.ts'
import { turnAwayKnown } from '../gate/turn-away.ts'
import { parseAuthority } from '../wire/authority.ts'
import { type Fault, judgeHead } from '../wire/framing.ts'
import type { DoorTools } from './door.ts'
import type { Intake } from './intake.ts'
import { Interception } from './intercept.ts'
import type { Line } from './line.ts'
import { refuseOnSocket } from './socket-answer.ts'

/** A CONNECT as Node hands it over. */
export interface ConnectOnWire {
  readonly request: IncomingMessage
  readonly socket: Socket
  /** What came behind the head. */
  readonly head: Buffer
  readonly line: Line
}

interface Tools extends DoorTools {
  readonly hasTunnels: boolean
  /** All connections of the door. */
  readonly sockets: Set<Socket>
}

/** The CONNECT requests of one door: refused, or taken to the gate and served as it says. */
export class Connects {
  readonly #intake: Intake
  readonly #interception: Interception
  readonly #hasTunnels: boolean

  constructor(intake: Intake, tools: Tools) {
    this.#intake = intake
    this.#hasTunnels = tools.hasTunnels
    this.#interception = new Interception(tools)
  }

  /** Names in the record what comes through tunnels. */
  set label(label: string) {
    this.#interception.label = label
  }

  get isIdle(): boolean {
    return this.#interception.isIdle
  }

  /** From the first call on, every answer in a tunnel is the last of its connection. */
  closeIdle(): void {
    this.#interception.closeIdle()
  }

  take(wire: ConnectOnWire): void {
    const { request, socket, line } = wire
    const { rawHeaders: fields, url = '' } = request
    const authority = parseAuthority(url)
    const evidence = this.#intake.reader.evidence(fields, line)
    const asked = { ...this.#intake.asked('CONNECT'), fields, evidence }
    const refuse = (problem: Problem, id: string) => refuseOnSocket(socket, problem, id, this.#intake.reader.challenge)
    const fault = faultOfConnect(request)
    const target = authority && ({ kind: 'name', host: authority.host, port: authority.port ?? 0 } as const)
    if (fault || !target)
      this.#intake.turnAway({ fault: fault ?? NO_AUTHORITY, asked: this.#intake.asked('CONNECT') }, { refuse })
    else if (this.#hasTunnels) this.#pass(wire, { ...asked, target }, evidence, refuse)
    else this.#intake.count(turnAwayKnown({ ...asked, target }, CONNECT_REFUSED, { refuse }, this.#intake.gate))
  }

  #pass(
    { socket, head }: ConnectOnWire,
    asked: AskedPassage,
    evidence: Evidence,
    refuse: (problem: Problem, id: string) => number | undefined,
  ): void {
    let isAccepted = false
    // Shutdown waits for the answer to a CONNECT, and not for what goes through the tunnel.
    const { promise: answered, resolve } = Promise.withResolvers<void>()
    const accept = () => {
      isAccepted = true
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      resolve()
    }
    const knock = {
      socket,
      head,
      accept,
      refuse: (problem: Problem, id: string) => (isAccepted ? drop(socket) : refuse(problem, id)),
      open: (passage: Parameters<Interception['open']>[0]['passage']) => {
        accept()
        return this.#interception.open({ passage, socket, head, evidence })
      },
    }
    this.#intake.count(Promise.race([exchangeConnect(asked, knock, this.#intake.gate), answered]))
  }
}

const CONNECT_REFUSED = new Problem('connect-refused', { reason: 'CONNECT at a door that is no proxy' })
const NO_AUTHORITY: Fault = { code: 'target-malformed', reason: 'CONNECT to something else than HOST:PORT' }

/** Behind a 200 there is nobody left who would read an answer. */
function drop(socket: Socket): undefined {
  socket.destroy()
}

/** What is wrong with a CONNECT, apart from its being one. @see RFC 9110 section 9.3.6 */
function faultOfConnect({ rawHeaders: fields, httpVersion, url = '' }: IncomingMessage): Fault | undefined {
  const framing = judgeHead({ fields, httpVersion })
  if ('code' in framing) return framing
  if (framing.body !== 'none') return { code: 'request-malformed', reason: 'CONNECT with a body' }
  return parseAuthority(url)?.port === undefined ? NO_AUTHORITY : undefined
}
