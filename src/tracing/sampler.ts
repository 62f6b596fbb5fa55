import type { Clock } from '../core/clock.ts'

/** What is known of an ask when it is chosen, or not. */
export interface Candidate {
  readonly traceId: string
  /** What the caller has chosen for its own part of the trace; undefined where a trace begins here. */
  readonly isParentSampled: boolean | undefined
  /** Undefined where nobody knows who asks. */
  readonly caller: string | undefined
}

interface Terms {
  readonly ratio: number
  readonly callers: 'follow' | 'ignore'
  readonly maxPerSecond: number
}

/** Callers whose rate is kept in mind; names by template come from tokens. */
const MAX_CALLERS = 1024
/** The last seven bytes of a trace id are random. @see https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/ */
const RANDOM_DIGITS = 14

/**
 * Chooses which asks are traced. A caller that has chosen goes before our ratio, where settings say so; a rate for each
 * caller goes before both, so that no flag of a caller's makes us export more than that.
 */
export class Sampler {
  readonly #terms: Terms
  readonly #clock: Clock
  readonly #budgets = new Map<string, Budget>()

  constructor(terms: Terms, clock: Clock) {
    this.#terms = terms
    this.#clock = clock
  }

  /** `over`: it was chosen, and there were too many. Call it once for each trace: what is chosen is counted. */
  choose({ traceId, isParentSampled, caller }: Candidate): 'yes' | 'no' | 'over' {
    const { ratio, callers } = this.#terms
    const isChosen = callers === 'follow' && isParentSampled !== undefined ? isParentSampled : isWithin(traceId, ratio)
    if (!isChosen) return 'no'
    return this.#budgetOf(caller ?? '').take(this.#clock.monotonic()) ? 'yes' : 'over'
  }

  /** In order of use, oldest first. */
  #budgetOf(caller: string): Budget {
    const budget = this.#budgets.get(caller) ?? new Budget(this.#terms.maxPerSecond)
    this.#budgets.delete(caller)
    this.#budgets.set(caller, budget)
    const [oldest] = this.#budgets.size > MAX_CALLERS ? this.#budgets.keys() : []
    if (oldest !== undefined) this.#budgets.delete(oldest)
    return budget
  }
}

/** The same traces at every hop that asks for the same ratio. */
function isWithin(traceId: string, ratio: number): boolean {
  return ratio > 0 && Number.parseInt(traceId.slice(-RANDOM_DIGITS), 16) >= (1 - ratio) * 16 ** RANDOM_DIGITS
}

/** So many a second, and as many at once. */
class Budget {
  readonly #perSecond: number
  #left: number
  #at: number | undefined

  constructor(perSecond: number) {
    this.#perSecond = perSecond
    this.#left = perSecond
  }

  take(now: number): boolean {
    const passed = now - (this.#at ?? now)
    this.#at = now
    this.#left = Math.min(this.#perSecond, this.#left + (passed * this.#perSecond) / 1000)
    if (this.#left < 1) return false
    this.#left -= 1
    return true
  }
}
