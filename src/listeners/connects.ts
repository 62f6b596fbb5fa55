import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { Problem } from '../core/problem.ts'
import { turnAwayKnown } from '../gate/turn-away.ts'
import { parseAuthority } from '../wire/authority.ts'
import { type Fault, judgeHead } from '../wire/framing.ts'
import type { Intake } from './intake.ts'
import type { Line } from './line.ts'
import { refuseOnSocket } from './socket-answer.ts'
import type { Tunnels } from './tunnels.ts'

/** A CONNECT as Node hands it over. */
export interface ConnectOnWire {
  readonly request: IncomingMessage
  readonly socket: Socket
  /** What came behind the head. */
  readonly head: Buffer
  readonly line: Line
}

/** The CONNECT requests of one door: refused, or taken to its tunnels. */
export class Connects {
  readonly #intake: Intake
  readonly #tunnels: Tunnels | undefined

  /** Without tunnels every CONNECT is refused. */
  constructor(intake: Intake, tunnels: Tunnels | undefined) {
    this.#intake = intake
    this.#tunnels = tunnels
  }

  take({ request, socket, head, line }: ConnectOnWire): void {
    const { rawHeaders: fields, url = '' } = request
    const authority = parseAuthority(url)
    const evidence = this.#intake.reader.evidence(fields, line)
    const asked = { ...this.#intake.asked('CONNECT'), fields, evidence }
    const refuse = (problem: Problem, id: string) => refuseOnSocket(socket, problem, id, this.#intake.reader.challenge)
    const fault = faultOfConnect(request)
    const target = authority && ({ kind: 'name', host: authority.host, port: authority.port ?? 0 } as const)
    if (fault || !target)
      this.#intake.turnAway({ fault: fault ?? NO_AUTHORITY, asked: this.#intake.asked('CONNECT', line) }, { refuse })
    else if (this.#tunnels)
      this.#tunnels.take({ ...asked, target }, { socket, head, refuse, accept: () => say200(socket) })
    else this.#intake.count(turnAwayKnown({ ...asked, target }, CONNECT_REFUSED, { refuse }, this.#intake.gate))
  }
}

const CONNECT_REFUSED = new Problem('connect-refused', { reason: 'CONNECT at a door that is no proxy' })
const NO_AUTHORITY: Fault = { code: 'target-malformed', reason: 'CONNECT to something else than HOST:PORT' }

function say200(socket: Socket): void {
  socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
}

/** What is wrong with a CONNECT, apart from its being one. @see RFC 9110 section 9.3.6 */
function faultOfConnect({ rawHeaders: fields, httpVersion, url = '' }: IncomingMessage): Fault | undefined {
  const framing = judgeHead({ fields, httpVersion })
  if ('code' in framing) return framing
  if (framing.body !== 'none') return { code: 'request-malformed', reason: 'CONNECT with a body' }
  return parseAuthority(url)?.port === undefined ? NO_AUTHORITY : undefined
}
