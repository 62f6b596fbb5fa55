import { createServer, type Server, type Socket } from 'node:net'
import type { Evidence } from '../core/ask.ts'
import { Problem } from '../core/problem.ts'
import { alertOf, closeUnfit, HANDSHAKE_MS, hostOfFlight } from '../gate/first-bytes.ts'
import { turnAway, turnAwayKnown } from '../gate/turn-away.ts'
import { describe, type Logger } from '../telemetry/logger.ts'
import { canonicalAddress } from '../wire/address.ts'
import { type FirstFlight, readFirstFlight } from '../wire/first-flight.ts'
import { openPlace, type Place } from '../wire/open-place.ts'
import {
  createOriginalDestinationReader,
  type OriginalDestinationReader,
  type SocketPlace,
} from '../wire/original-destination.ts'
import { closeServer } from './close-server.ts'
import { Connects } from './connects.ts'
import type { Door, DoorTools, Reader } from './door.ts'
import { Http1 } from './http1.ts'
import { Intake } from './intake.ts'
import { type Line, newLine } from './line.ts'
import { refuseOnSocket } from './socket-answer.ts'
import { Tunnels } from './tunnels.ts'
import { Turnstile } from './turnstile.ts'

interface Options extends Place {
  readonly kind: string
  readonly reader: Reader
  readonly maxSockets: number
}

/**
 * Where redirected TCP comes in. The first bytes say what it is: TLS is taken for a CONNECT to the host of its ClientHello,
 * everything else for plain HTTP. Where it was going tells the port, and nothing else: an app that could choose an address by
 * a name that is not there would get past both gates.
 */
export class RedirectedDoor implements Door {
  readonly kind: string
  readonly #place: Place
  readonly #around: Pick<DoorTools, 'directory' | 'passed'>
  readonly #log: Logger
  readonly #intake: Intake
  readonly #http1: Http1
  readonly #tunnels: Tunnels
  readonly #isOwnSocket: (from: SocketPlace, to: SocketPlace) => boolean
  readonly #turnstile: Turnstile
  readonly #sockets = new Set<Socket>()
  readonly #entry: Server
  #originals: OriginalDestinationReader | undefined

  constructor({ kind, reader, maxSockets, ...place }: Options, tools: DoorTools) {
    this.kind = kind
    this.#place = place
    this.#around = { directory: tools.directory, passed: tools.passed }
    this.#log = tools.log
    this.#turnstile = new Turnstile(kind, maxSockets, tools)
    this.#intake = new Intake(kind, reader, tools)
    this.#tunnels = new Tunnels(this.#intake, { ...tools, sockets: this.#sockets })
    const connects = new Connects(this.#intake, undefined)
    this.#http1 = new Http1(this.#intake, {
      lineOf: () => newLine({}),
      connect: (request, socket, head, line) => connects.take({ request, socket, head, line }),
    })
    this.#isOwnSocket = (from, to) => tools.gate.dialer.isOwnSocket(from, to)
    // As http.Server has it.
    this.#entry = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const line = newLine({ address: socket.remoteAddress, original: this.#originals?.read(socket) })
      if (this.#turnstile.admit(socket, line)) void this.#accept(socket, line)
    })
  }

  get openSockets(): number {
    return this.#sockets.size
  }

  async open(): Promise<string> {
    this.#originals = createOriginalDestinationReader()
    const { address } = await openPlace(this.#entry, this.#place, this.#around)
    this.#intake.label = `${this.kind} ${address}`
    this.#tunnels.label = `intercept ${address}`
    // Node bounds the time for a head, and knows which sockets are idle, only from this event on.
    this.#http1.server.emit('listening')
    return address
  }

  async close(deadlineMs: number): Promise<void> {
    this.#intake.isDraining = true
    this.#entry.close()
    await closeServer(this.#http1.server, {
      deadlineMs,
      isIdle: () => this.#intake.isIdle && this.#tunnels.isIdle,
      closeIdle: () => this.#tunnels.closeIdle(),
      sockets: this.#sockets,
    })
  }

  /** Never rejects. */
  async #accept(socket: Socket, known: Line): Promise<void> {
    socket.on('error', () => socket.destroy())
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    try {
      const line = { ...known, evidence: this.#intake.reader.evidence([], known) }
      const ends = endsOf(socket)
      const flight = await readFirstFlight(socket, NO_BYTES, { timeoutMs: HANDSHAKE_MS })
      const fault = this.#faultOf(line, ends)
      if (fault) this.#turnAway({ socket, flight, line }, fault)
      else this.#serve({ socket, flight, line })
    } catch (error) {
      socket.destroy()
      this.#log.error({ error: describe(error) }, 'a redirected socket could not be taken in')
    }
  }

  /** Why it is not served whatever it says: it was not redirected here, or it is our own. */
  #faultOf({ original }: Line, { here, there }: Ends): Problem | undefined {
    if (!original || isSame(original, here)) return new Problem('not-redirected')
    // By now a dial of ours knows that it is connected: before that it says nothing.
    if (!this.#isOwnSocket(there, original)) return undefined
    return new Problem('loop-detected', {
      reason: 'a socket of our own was redirected: the rules have to leave our uid out',
    })
  }

  #serve({ socket, flight, line }: Arrival): void {
    const { original, evidence = NOBODY } = line
    if (flight.kind === 'other') return this.#http1.accept(socket, line)
    const host = hostOfFlight(flight)
    const asked = { ...this.#intake.asked('CONNECT', line), fields: [], evidence }
    if (typeof host !== 'string') {
      const refuse = () => closeByAlert(socket, host.alert)
      return this.#intake.count(turnAwayKnown(asked, host.problem, { refuse }, this.#intake.gate))
    }
    const target = { kind: 'name', host, port: original?.port ?? 0 } as const
    const refuse = (problem: Problem) => closeByAlert(socket, alertOf(problem))
    this.#tunnels.take({ ...asked, target }, { socket, head: NO_BYTES, accept: () => undefined, refuse })
  }

  /** Whoever it is: the door's caller is whom the rules send here, and this they did not. */
  #turnAway({ socket, flight, line }: Arrival, problem: Problem): void {
    // A probe that knocks and leaves has asked for nothing.
    if (flight.kind === 'closed') return void socket.destroy()
    const refuse = (told: Problem, id: string) => {
      if (flight.kind === 'other') return refuseOnSocket(socket, told, id, this.#intake.reader.challenge)
      return closeByAlert(socket, flight.kind === 'silent' ? undefined : alertOf(told))
    }
    this.#intake.count(turnAway(this.#intake.asked('', line), problem, { refuse }, this.#intake.gate))
  }
}

/** An alert has no status to tell. */
function closeByAlert(socket: Socket, alert: Buffer | undefined): undefined {
  closeUnfit(socket, { alert })
  return undefined
}

const NO_BYTES = Buffer.alloc(0)
const NOBODY: Evidence = { keys: [], keysAre: 'certain', unreadable: true }

interface Arrival {
  readonly socket: Socket
  readonly flight: FirstFlight
  readonly line: Line
}

/** Both ends of a socket, as they are after a redirection. */
interface Ends {
  readonly here: SocketPlace
  readonly there: SocketPlace
}

/** To be asked while it is open. */
function endsOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): Ends {
  return { here: place(localAddress, localPort), there: place(remoteAddress, remotePort) }
}

function place(address = '', port = 0): SocketPlace {
  return { address: canonicalAddress(address), port }
}

function isSame(one: SocketPlace, other: SocketPlace): boolean {
  return one.address === other.address && one.port === other.port
}
