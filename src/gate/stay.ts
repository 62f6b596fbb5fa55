import type { Caller, Evidence } from '../core/ask.ts'
import type { Permit } from '../core/decide.ts'
import type { Passage } from '../core/passage.ts'
import type { Policy } from '../core/policy.ts'
import { Problem } from '../core/problem.ts'
import type { Refusal } from '../core/refusal.ts'
import type { Waiver } from '../core/waiver.ts'
import type { Place } from './bag.ts'
import type { Ending } from './ends.ts'

/** What was decided of something that goes on for a while. */
export type Decided = Permit | Passage | Waiver

/** The very question that was answered with yes, to be asked again. */
export interface Asking {
  readonly evidence: Evidence
  decide(caller: Caller, at: number, policy: Policy): Decided | Refusal
}

/** One thing under way, and what lets it: an exchange, a WebSocket, a tunnel. */
export class Stay {
  readonly asking: Asking
  /** By which it goes on now: another grant may have taken the place of the first. */
  decided: Decided
  /** Where it is kept as long as it is under way, and until when it may be; for who keeps it. */
  place: Place<Stay> | undefined
  ending: Ending<Stay> | undefined
  #cutBy: Problem | undefined
  #listener: ((problem: Problem) => void) | undefined

  constructor(asking: Asking, decided: Decided) {
    this.asking = asking
    this.decided = decided
  }

  get isCut(): boolean {
    return this.#cutBy !== undefined
  }

  /** Replaces the listener before; called at once where it has been cut already. */
  onCut(listener: (problem: Problem) => void): void {
    this.#listener = listener
    if (this.#cutBy) listener(this.#cutBy)
  }

  /**
   * Between two steps.
   * @throws Problem `access-revoked`
   */
  check(): void {
    if (this.#cutBy) throw this.#cutBy
  }

  /** Idempotent. */
  cut({ code, reason }: Pick<Refusal, 'code' | 'reason'>): void {
    if (this.#cutBy) return
    this.#cutBy = new Problem('access-revoked', { reason: `${code}: ${reason}` })
    this.#listener?.(this.#cutBy)
  }
}
