/** Names in labels that something may be called by no more. */
export interface Names {
  /** Whether there is such a connection now. */
  isConnection(name: string): boolean
  /** Whether there is such a caller now, or it is one of the names for those that have none. */
  isCaller(name: string): boolean
  /** Ms, of a clock that is never set. */
  monotonic(): number
}

/** For where nothing ever goes. */
export const NOBODY_LEAVES: Names = { isConnection: () => true, isCaller: () => true, monotonic: () => 0 }

/** Labels of one series, as far as names are in them. */
export interface NamedLabels {
  readonly connection?: string | undefined
  readonly caller?: string | undefined
}

/**
 * How long the series of what was removed are still told: two of every Prometheus that scrapes each two minutes have the last
 * of them by then. What is called the same before that goes on where it was.
 */
export const LINGER_MS = 300_000

/** Which series are to go, because what they are of has gone. Asked at each scrape, and by nobody in between. */
export class Departed {
  readonly #names: Names
  readonly #connections = new Map<string, number>()
  readonly #callers = new Map<string, number>()

  constructor(names: Names) {
    this.#names = names
  }

  /** Whether this series has been told for long enough. */
  isOver({ connection, caller }: NamedLabels): boolean {
    const { isConnection, isCaller } = this.#names
    return this.#isOver(connection, isConnection, this.#connections) || this.#isOver(caller, isCaller, this.#callers)
  }

  /** Every series was asked about: a name that comes back in one of them, of what was late, is told for as long again. */
  swept(): void {
    for (const since of [this.#connections, this.#callers])
      for (const [name, from] of since) if (this.#isLong(from)) since.delete(name)
  }

  #isOver(name: string | undefined, isThere: (name: string) => boolean, since: Map<string, number>): boolean {
    if (name === undefined) return false
    if (isThere(name)) {
      since.delete(name)
      return false
    }
    const from = since.get(name) ?? this.#names.monotonic()
    since.set(name, from)
    return this.#isLong(from)
  }

  #isLong(from: number): boolean {
    return this.#names.monotonic() - from >= LINGER_MS
  }
}
