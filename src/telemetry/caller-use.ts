import { Departed, NOBODY_LEAVES } from './departed.ts'
import type { Samples } from './readings.ts'

/** How an ask ended for its caller: by what the upstream said, by a no of ours, or because something failed. */
export type CallerOutcome = 'answered' | 'refused' | 'failed'

/** One ask that is over, as it counts for its caller. Sizes in bytes. */
export interface Used {
  /** Bounded by whoever gives it: a name of the settings or of the store, or one for all others. */
  readonly caller: string
  readonly connection: string
  readonly outcome: CallerOutcome
  /** From the caller to the upstream. */
  readonly bytesIn: number
  /** From the upstream to the caller. */
  readonly bytesOut: number
}

interface Pair {
  readonly caller: string
  readonly connection: string
  answered: number
  refused: number
  failed: number
  bytesIn: number
  bytesOut: number
}

/** Pairs of a caller and a connection that are told apart: a store may hold 10 000 callers, and each pair is up to five series. */
export const MAX_PAIRS = 1000

/** The caller of what goes beyond that. No name of a caller begins with a bracket. */
export const OTHERS = '(others)'

/**
 * Who used what. Counted by hand: two look-ups and three additions cost 0.1 to 0.2 µs an ask, where two labelled counters of
 * prom-client cost 2 µs, and the bound is kept where the counting is.
 */
export class CallerUse {
  readonly #departed: Departed
  readonly #callers = new Map<string, Map<string, Pair>>()
  #pairs = 0

  /** `departed`: whose pairs are to go, and leave their place to others. */
  constructor(departed = new Departed(NOBODY_LEAVES)) {
    this.#departed = departed
  }

  add({ caller, connection, outcome, bytesIn, bytesOut }: Used): void {
    const pair = this.#callers.get(caller)?.get(connection) ?? this.#begin(caller, connection)
    pair[outcome] += 1
    pair.bytesIn += bytesIn
    pair.bytesOut += bytesOut
  }

  /** By caller, connection and outcome; what never happened is left out. */
  requests(): Samples<'caller' | 'connection' | 'outcome'> {
    const outcomes = ['answered', 'refused', 'failed'] as const
    return this.#all().flatMap((pair) =>
      outcomes
        .filter((outcome) => pair[outcome] > 0)
        .map((outcome) => [{ caller: pair.caller, connection: pair.connection, outcome }, pair[outcome]] as const),
    )
  }

  /** By caller, connection and direction; of pairs by which nothing went, nothing. */
  bytes(): Samples<'caller' | 'connection' | 'direction'> {
    return this.#all()
      .filter(({ bytesIn, bytesOut }) => bytesIn + bytesOut > 0)
      .flatMap(({ caller, connection, bytesIn, bytesOut }) => [
        [{ caller, connection, direction: 'sent' }, bytesIn] as const,
        [{ caller, connection, direction: 'received' }, bytesOut] as const,
      ])
  }

  #all(): readonly Pair[] {
    this.#sweep()
    return [...this.#callers.values()].flatMap((connections) => [...connections.values()])
  }

  #sweep(): void {
    for (const [caller, connections] of this.#callers) {
      for (const [connection, pair] of connections) {
        if (!this.#departed.isOver(pair)) continue
        connections.delete(connection)
        this.#pairs -= 1
      }
      if (connections.size === 0) this.#callers.delete(caller)
    }
  }

  #begin(caller: string, connection: string): Pair {
    // For the others there is one more for each connection, and those are as many as the settings name.
    const name = this.#pairs < MAX_PAIRS ? caller : OTHERS
    const connections = this.#callers.get(name) ?? new Map<string, Pair>()
    const known = connections.get(connection)
    if (known) return known
    const pair = { caller: name, connection, answered: 0, refused: 0, failed: 0, bytesIn: 0, bytesOut: 0 }
    this.#callers.set(name, connections.set(connection, pair))
    this.#pairs += 1
    return pair
  }
}
