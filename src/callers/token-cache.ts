import type { Secret } from '../core/secret.ts'

/**
 * What became of tokens, by their digest: the token itself is not kept. The one that was not asked about for the longest
 * time goes first when there are too many. Work for one token flies once, whoever waits for it.
 */
export class TokenCache<Outcome, Kept> {
  readonly #limit: number
  readonly #kept = new Map<string, Kept>()
  readonly #flights = new Map<string, Promise<Outcome>>()

  /** `limit`: how many are kept. */
  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#kept.size
  }

  find(token: Secret): Kept | undefined {
    const key = keyOf(token)
    const kept = this.#kept.get(key)
    if (kept === undefined) return undefined
    this.#kept.delete(key)
    this.#kept.set(key, kept)
    return kept
  }

  keep(token: Secret, kept: Kept): void {
    this.#kept.set(keyOf(token), kept)
    if (this.#kept.size <= this.#limit) return
    const [oldest] = this.#kept.keys()
    if (oldest !== undefined) this.#kept.delete(oldest)
  }

  drop(token: Secret): void {
    this.#kept.delete(keyOf(token))
  }

  /** The outcome of `work`, or of what is under way for the same token already. */
  once(token: Secret, work: () => Promise<Outcome>): Promise<Outcome> {
    const key = keyOf(token)
    const flight = this.#flights.get(key) ?? work().finally(() => this.#flights.delete(key))
    this.#flights.set(key, flight)
    return flight
  }
}

function keyOf(token: Secret): string {
  return token.digest().toString('latin1')
}
