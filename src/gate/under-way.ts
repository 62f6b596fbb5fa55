import type { Caller } from '../core/ask.ts'
import type { Clock } from '../core/clock.ts'
import type { Refusal } from '../core/refusal.ts'
import { steadyTime } from '../core/steady-time.ts'
import { Bag } from './bag.ts'
import { Ends } from './ends.ts'
import type { Snapshot } from './snapshot.ts'
import { type Asking, type Decided, Stay } from './stay.ts'

/** What one turn of the event loop may take for this, in ms and in things cut or judged. */
const TURN_MS = 5
const TURN_SIZE = 1_000

interface Tools {
  readonly clock: Clock
  /** The newest. */
  snapshot(): Snapshot
  /** For what nobody foresaw, while one thing was judged or cut. */
  onFault(error: unknown): void
}

/**
 * Everything that is under way, each with what lets it. When the policy changes, each is asked about anew, with the newest:
 * what would be refused now is cut. So it is at the very millisecond at which a grant ends.
 */
export class UnderWay {
  readonly #clock: Clock
  readonly #snapshot: () => Snapshot
  readonly #onFault: (error: unknown) => void
  readonly #now: () => number
  readonly #asks = new Bag<Stay>()
  /** Tunnels that are opened here. They are judged last: what is under way in one is to be cut, and recorded, by itself. */
  readonly #openings = new Bag<Stay>()
  readonly #ends: Ends<Stay>
  #queue: readonly Stay[] = []
  #at = 0
  #isRunning = false
  #isChanged = false

  constructor({ clock, snapshot, onFault }: Tools) {
    this.#clock = clock
    this.#snapshot = snapshot
    this.#onFault = onFault
    this.#now = steadyTime(clock)
    this.#ends = new Ends(this.#now, (stays) => this.#judgeAll(stays))
  }

  /** How many. */
  get size(): number {
    return this.#asks.size + this.#openings.size
  }

  /** The time by which grants are judged; ms since the epoch. */
  now(): number {
    return this.#now()
  }

  /** In the same turn as the decision, so that no change comes between. */
  begin(asking: Asking, decided: Decided): Stay {
    const stay = new Stay(asking, decided)
    stay.place = this.#bagOf(decided).add(stay)
    stay.ending = this.#ends.add(stay, decided.until)
    return stay
  }

  /** Idempotent. */
  end(stay: Stay): void {
    if (stay.place) this.#bagOf(stay.decided).remove(stay.place)
    this.#ends.remove(stay.ending)
  }

  /** The snapshot is another one. What would be refused by it is cut in this turn, or in the next ones if it is much. */
  policyChanged(): void {
    if (this.#isRunning) this.#isChanged = true
    else this.#judgeAll([...this.#asks.things(), ...this.#openings.things()])
  }

  #bagOf(decided: Decided): Bag<Stay> {
    return 'tls' in decided && decided.tls !== 'pass' ? this.#openings : this.#asks
  }

  #judgeAll(stays: readonly Stay[]): void {
    this.#queue = this.#at < this.#queue.length ? [...this.#queue.slice(this.#at), ...stays] : stays
    this.#at = 0
    if (this.#isRunning) return
    this.#isRunning = true
    this.#turn()
  }

  /** A round that has begun goes on to its end, each judged by what is newest then: changes without a pause starve nobody. */
  #turn(): void {
    withoutStacks(() => this.#judgeSome())
    if (this.#at < this.#queue.length) return void setImmediate(() => this.#turn())
    this.#queue = []
    this.#at = 0
    this.#isRunning = false
    if (!this.#isChanged) return
    this.#isChanged = false
    this.policyChanged()
  }

  #judgeSome(): void {
    const start = this.#clock.monotonic()
    const last = Math.min(this.#at + TURN_SIZE, this.#queue.length)
    while (this.#at < last && this.#clock.monotonic() - start < TURN_MS) {
      const stay = this.#queue[this.#at++]
      if (stay) this.#judge(stay)
    }
  }

  #judge(stay: Stay): void {
    if (stay.place?.at === -1 || stay.isCut) return
    const verdict = this.#verdict(stay)
    if (!verdict.permitted) return this.#cut(stay, verdict)
    this.#ends.remove(stay.ending)
    stay.decided = verdict
    stay.ending = this.#ends.add(stay, verdict.until)
  }

  /** What goes wrong with one must not let the others go on. */
  #cut(stay: Stay, refusal: Refusal): void {
    try {
      stay.cut(refusal)
    } catch (error) {
      this.#onFault(error)
    }
  }

  #verdict(stay: Stay): Decided | Refusal {
    try {
      return verdictOf(stay, this.#now(), this.#snapshot())
    } catch (error) {
      this.#onFault(error)
      return { permitted: false, code: 'internal-error', reason: 'it could not be judged anew' }
    }
  }
}

/**
 * Each cut ends several streams by errors of their own, and Node formats the stack of every one as it destroys them: a
 * third of the time that 10 000 cuts took. Nobody reads those stacks.
 */
function withoutStacks(work: () => void): void {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    work()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

function verdictOf({ decided, asking }: Stay, at: number, { policy, recognize }: Snapshot): Decided | Refusal {
  const caller = recognize(decided.caller, asking.evidence)
  if (!caller) return gone(decided.caller)
  const now = asking.decide(caller, at, policy)
  return now.permitted && !isSame(now, decided) ? elsewhere(decided) : now
}

/** A yes to something else is a no: a credential that is being spent, say, where none would be given now. */
function isSame(one: Decided, other: Decided): boolean {
  const [tls, before] = [one, other].map((decided) => ('tls' in decided ? decided.tls : undefined))
  return one.connection === other.connection && one.host === other.host && one.port === other.port && tls === before
}

function gone({ name }: Caller): Refusal {
  return { permitted: false, code: 'caller-unknown', reason: `${name} is not known any more` }
}

function elsewhere({ host }: Decided): Refusal {
  return { permitted: false, code: 'grant-missing', reason: `the same request to ${host} is another one now` }
}
