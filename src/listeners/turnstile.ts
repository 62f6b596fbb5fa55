import type { Socket } from 'node:net'
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../telemetry/logger.ts'
import { Crowd, peerOf } from '../wire/crowd.ts'
import type { Line } from './line.ts'

interface Tools {
  readonly gate: { readonly clock: Pick<Clock, 'monotonic'> }
  readonly log: Logger
  /** Everybody at all doors together. */
  readonly crowd: Crowd
  /** A socket was closed because there were too many at a door of this kind. */
  onCrowded(kind: string): void
}

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
  admit(socket: Socket, who: Pick<Line, 'peer' | 'address'>): boolean {
    const comer = { socket, peer: peerOf(who) }
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

  #tell(): void {
    const { gate, log, onCrowded } = this.#tools
    onCrowded(this.#kind)
    const now = gate.clock.monotonic()
    if (now - this.#loggedAt < LOG_EVERY_MS) return
    this.#loggedAt = now
    log.warn({ door: this.#kind }, 'too many sockets at a door: those of whoever has most are closed')
  }
}
