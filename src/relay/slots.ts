import { Problem } from '../core/problem.ts'

/** What each caller has in use at once, up to a limit. */
export class Slots {
  readonly #limit: number
  readonly #what: string
  readonly #taken = new Map<string, number>()

  /** `what`: in words, in the plural. */
  constructor(limit: number, what: string) {
    this.#limit = limit
    this.#what = what
  }

  /** Called whenever the last one has left. */
  emptied: () => void = () => undefined

  get isEmpty(): boolean {
    return this.#taken.size === 0
  }

  /** Of all callers. */
  get taken(): number {
    return this.#taken.values().reduce((sum, count) => sum + count, 0)
  }

  /** Share of the limit that the caller with most of them has. */
  get highestShare(): number {
    return this.#taken.values().reduce((most, count) => Math.max(most, count), 0) / this.#limit
  }

  /**
   * Counts one in; call what it returns when it is over, once.
   * @throws Problem `too-many-requests`
   */
  take(caller: string): () => void {
    const count = this.#taken.get(caller) ?? 0
    if (count >= this.#limit) {
      const reason = `${count} ${this.#what} of ${caller} are in flight`
      throw new Problem('too-many-requests', { reason, retryAfter: 1 })
    }
    this.#taken.set(caller, count + 1)
    return () => {
      const left = (this.#taken.get(caller) ?? 1) - 1
      if (left > 0) this.#taken.set(caller, left)
      else this.#taken.delete(caller)
      if (this.isEmpty) this.emptied()
    }
  }
}
