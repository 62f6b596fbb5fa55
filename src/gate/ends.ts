import { Bag, type Place } from './bag.ts'

/** setTimeout counts to 24 days; and a machine that slept, or whose clock was set, is to notice soon. In ms. */
const RECHECK_MS = 1_000

/** A thing whose time will come. */
export interface Ending<T> {
  readonly end: number
  readonly place: Place<T>
}

/**
 * Tells when the time of things has come, to the millisecond: one timer for the nearest end, however many things there
 * are. Adding and taking away cost no timer.
 */
export class Ends<T> {
  readonly #now: () => number
  readonly #come: (things: readonly T[]) => void
  readonly #byEnd = new Map<number, Bag<T>>()
  /** The end that the timer is set for. */
  #nearest = Number.POSITIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  constructor(now: () => number, come: (things: readonly T[]) => void) {
    this.#now = now
    this.#come = come
  }

  /** Undefined of what has no end. */
  add(thing: T, end: number | undefined): Ending<T> | undefined {
    if (end === undefined) return undefined
    const bag = this.#byEnd.get(end) ?? new Bag<T>()
    this.#byEnd.set(end, bag)
    const place = bag.add(thing)
    if (end < this.#nearest) this.#arm()
    return { end, place }
  }

  /** Idempotent. */
  remove(ending: Ending<T> | undefined): void {
    // An empty bag stays until the timer comes by: the next ask of the same grant is likely to be here before that.
    if (ending) this.#byEnd.get(ending.end)?.remove(ending.place)
  }

  #arm(): void {
    clearTimeout(this.#timer)
    this.#nearest = Number.POSITIVE_INFINITY
    for (const [end, { size }] of this.#byEnd) {
      if (size === 0) this.#byEnd.delete(end)
      else if (end < this.#nearest) this.#nearest = end
    }
    if (this.#byEnd.size === 0) return
    const left = Math.min(Math.max(this.#nearest - this.#now(), 1), RECHECK_MS)
    this.#timer = setTimeout(this.#ring, left).unref()
  }

  readonly #ring = (): void => {
    const now = this.#now()
    const over = [...this.#byEnd].filter(([end]) => end <= now)
    for (const [end] of over) this.#byEnd.delete(end)
    this.#arm()
    const things = over.flatMap(([, bag]) => bag.things())
    if (things.length > 0) this.#come(things)
  }
}
