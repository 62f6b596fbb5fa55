/** setTimeout counts to 24 days; and a machine that slept, or whose clock was set, is to notice soon. In ms. */
const RECHECK_MS = 1_000

/**
 * Tells when the time of things has come, to the millisecond: one timer for the nearest end, however many things there
 * are. Adding and taking away cost no timer.
 */
export class Ends<T> {
  readonly #now: () => number
  readonly #come: (things: readonly T[]) => void
  readonly #byEnd = new Map<number, Set<T>>()
  /** The end that the timer is set for. */
  #nearest = Number.POSITIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  constructor(now: () => number, come: (things: readonly T[]) => void) {
    this.#now = now
    this.#come = come
  }

  add(thing: T, end: number | undefined): void {
    if (end === undefined) return
    const set = this.#byEnd.get(end)
    if (set) set.add(thing)
    else this.#byEnd.set(end, new Set([thing]))
    if (end < this.#nearest) this.#arm()
  }

  remove(thing: T, end: number | undefined): void {
    // An empty set stays until the timer comes by: the next ask of the same grant is likely to be here before that.
    if (end !== undefined) this.#byEnd.get(end)?.delete(thing)
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
    const things = over.flatMap(([, set]) => [...set])
    if (things.length > 0) this.#come(things)
  }
}
