import type { Socket } from 'node:net'
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../telemetry/logger.ts'
import { classify } from '../wire/address.ts'
import { Crowd, peerOf } from '../wire/crowd.ts'
import type { TcpOwnerReader } from '../wire/tcp-owner.ts'
import type { Line } from './line.ts'

interface Tools {
  readonly gate: { readonly clock: Pick<Clock, 'monotonic'> }
  readonly log: Logger
  /** Everybody at all doors together. */
  readonly crowd: Crowd
  /** Absent where the kernel cannot be asked. */
  readonly owners: TcpOwnerReader | undefined
  /** A socket was closed because there were too many at a door of this kind. */
  onCrowded(kind: string): void
}

type Who = Pick<Line, 'peer' | 'address' | 'original'>

/** Who floods a door is not to flood the log as well. */
const LOG_EVERY_MS = 60_000

/** Where every socket of a door is counted in, before anything is read of it. */
export class Turnstile {
  readonly #kind: string
  readonly #own: Crowd
  readonly #tools: Tools
  #loggedAt = Number.NEGATIVE_INFINITY

  constructor(kind: string, maxSockets: number, tools: Tools) {
    this.#kind = kind
    this.#own = new Crowd(maxSockets)
    this.#tools = tools
  }

  /** False: it was one too many, and is closed. */
  admit(socket: Socket, who: Who): boolean {
    const comer = { socket, peer: peerOf({ ...who, uid: who.peer?.uid ?? this.#ownerOf(socket, who) }) }
    for (const crowd of [this.#own, this.#tools.crowd]) {
      const isLetIn = crowd.admit(comer)
      if (isLetIn !== 'in') this.#tell()
      if (isLetIn === 'full') {
        socket.destroy()
        return false
      }
    }
    return true
  }

  /** Only of what is of this machine for certain: from elsewhere there is nobody to find. */
  #ownerOf(
    { remotePort = 0, localAddress = '', localPort = 0 }: Socket,
    { address, original }: Who,
  ): number | undefined {
    if (address === undefined || (!original && classify(address) !== 'loopback')) return undefined
    const far = original ?? { address: localAddress, port: localPort }
    return this.#tools.owners?.read({ address, port: remotePort }, far)
  }

  #tell(): void {
    const { gate, log, onCrowded } = this.#tools
    onCrowded(this.#kind)
    const now = gate.clock.monotonic()
    if (now - this.#loggedAt < LOG_EVERY_MS) return
    this.#loggedAt = now
    log.warn({ door: this.#kind }, 'too many sockets at a door: those of whoever has most are closed')
  }
}
