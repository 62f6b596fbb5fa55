import { randomUUIDv7 } from 'node:crypto'
import type { Ask } from '../core/ask.ts'
import { Problem } from '../core/problem.ts'
import type { Unfold } from '../gate/enclosed.ts'
import type { RefusingAnswer } from '../gate/exchange.ts'
import type { Gate } from '../gate/gate.ts'
import type { Asked } from '../gate/trace.ts'
import { turnAway, turnAwayKnown } from '../gate/turn-away.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Fault } from '../wire/framing.ts'
import type { Reader } from './door.ts'
import type { Line } from './line.ts'

/** A request head, whichever protocol it came in. */
export interface HeadOnWire {
  readonly method: string
  readonly target: string
  readonly fields: readonly string[]
}

/** An ask for the gate, or what is wrong with it. `unfold`: what is asked for stands in the body. */
export type Taken = { readonly ask: Ask; readonly unfold?: Unfold | undefined } | Unfit

/** A head that makes no ask, and as much of it as the record can name. */
export interface Unfit {
  readonly fault: Fault
  readonly asked: Asked
}

const MAX_TARGET = 8192

/** What all protocols of one door share: how heads become asks, what is under way, and whether the door is closing. */
export class Intake {
  readonly reader: Reader
  readonly gate: Gate
  readonly #log: Logger
  #inFlight = 0
  /** Names the door in the record. */
  label: string
  /** Every answer from now on is the last one of its connection. */
  isDraining = false

  constructor(label: string, reader: Reader, { gate, log }: { readonly gate: Gate; readonly log: Logger }) {
    this.label = label
    this.reader = reader
    this.gate = gate
    this.#log = log
  }

  get isIdle(): boolean {
    return this.#inFlight === 0
  }

  /** The first words of a record; with the line, also whoever is known to ask on it, whatever they ask. */
  asked(method: string, line?: Line): Asked {
    const evidence = line?.tunnel?.evidence ?? line?.evidence
    return { id: randomUUIDv7(), door: this.label, method, ...(evidence && { evidence }) }
  }

  /** `fault`: what the protocol found wrong with the framing already. */
  take(head: HeadOnWire, line: Line, fault?: Fault): Taken {
    const { fields, target } = head
    const asked = this.asked(head.method, line)
    line.tunnel?.entered()
    if (fault) return { fault, asked }
    if (target.length > MAX_TARGET)
      return { fault: { code: 'target-too-long', reason: `${target.length} bytes` }, asked }
    const reading = this.reader.read({ ...head, line })
    if ('code' in reading) return { fault: reading, asked }
    const { unfold, ...read } = reading
    return { ask: { ...asked, fields, ...read }, unfold }
  }

  /** Answers an unfit head; where the line says who sends it, that is recorded too. */
  turnAway({ fault: { code, reason }, asked }: Unfit, answer: Pick<RefusingAnswer, 'refuse'>): void {
    const problem = new Problem(code, { reason })
    const { evidence } = asked
    this.count(
      evidence
        ? turnAwayKnown({ ...asked, evidence }, problem, answer, this.gate)
        : turnAway(asked, problem, answer, this.gate),
    )
  }

  /** Counts in what is under way; it never rejects, and if it did, that would be logged. */
  count(done: Promise<void>): void {
    this.#inFlight++
    done.catch((error: unknown) => this.#unforeseen(error)).finally(() => this.#inFlight--)
  }

  #unforeseen(error: unknown): void {
    this.#log.error({ door: this.label, error: String(error) }, 'an exchange rejected, which it never should')
  }
}
