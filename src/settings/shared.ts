interface Closable {
  close(): void
}

interface Held {
  readonly thing: Promise<Closable>
  holders: number
}

/**
 * What several readings of the settings have open, each thing opened and watched once: a connection that is the same in the
 * next reading goes on with what it has, and hears of changes as before. A thing is closed with the last reading that names it.
 */
export class Shared {
  readonly #held = new Map<string, Held>()
  readonly #listeners: (() => void)[] = []

  /** Calls the listener whenever one of them has changed, and is in use already. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  readonly changed = (): void => {
    for (const listener of this.#listeners) listener()
  }

  /** One reading. */
  reading(): Reading {
    return new Reading(this.#held)
  }
}

/** What one reading of the settings holds. */
export class Reading {
  readonly #all: Map<string, Held>
  readonly #own = new Set<string>()

  constructor(all: Map<string, Held>) {
    this.#all = all
  }

  /** The thing of that key, which `open` makes where nobody holds it yet. Of one key there is one type of thing. */
  async hold<T extends Closable>(key: string, open: () => Promise<T>): Promise<T> {
    const held = this.#all.get(key) ?? { thing: open(), holders: 0 }
    this.#all.set(key, held)
    if (!this.#own.has(key)) held.holders += 1
    this.#own.add(key)
    try {
      // Whoever asks by this key has put the same type of thing there.
      return (await held.thing) as T
    } catch (error) {
      this.#release(key)
      throw error
    }
  }

  /** Idempotent. */
  close(): void {
    for (const key of this.#own) this.#release(key)
  }

  #release(key: string): void {
    const held = this.#all.get(key)
    if (!held || !this.#own.delete(key)) return
    held.holders -= 1
    if (held.holders > 0) return
    this.#all.delete(key)
    held.thing.then(
      (thing) => thing.close(),
      () => undefined,
    )
  }
}
