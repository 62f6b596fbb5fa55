/** Wrong proofs of one peer in a row of `WINDOW_MS` before it is told to wait. */
const AT_MOST = 20
const WINDOW_MS = 60_000
/** Peers remembered; beyond it the oldest is forgotten. */
const PEERS = 1000

interface Row {
  count: number
  readonly since: number
}

/**
 * Counts wrong proofs by peer. It refuses no right one, so that nobody can lock an operator out: on loopback every process
 * of the machine is one peer. It keeps a flood of guesses out of the audit, and tells a client that has gone mad to stop.
 */
export class WrongProofs {
  readonly #rows = new Map<string, Row>()

  /** Seconds to wait, when this was one too many. `now`: ms. */
  add(peer: string, now: number): number | undefined {
    const before = this.#rows.get(peer)
    const row = before && now - before.since < WINDOW_MS ? before : { count: 0, since: now }
    row.count++
    this.#rows.delete(peer)
    this.#rows.set(peer, row)
    if (this.#rows.size > PEERS) this.#rows.delete(this.#rows.keys().next().value ?? '')
    return row.count > AT_MOST ? (row.since + WINDOW_MS - now) / 1000 : undefined
  }
}
