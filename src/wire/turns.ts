/** Lets a few at a time do something for one key, and the others wait in the order in which they came. */
export class Turns {
  readonly #limit: number
  /** Those that wait, by key; a key is there while somebody has its turn. */
  readonly #lanes = new Map<string, { taken: number; readonly waiting: Set<() => void> }>()

  constructor(limit: number) {
    this.#limit = limit
  }

  /**
   * Resolves when it is this one's turn; call what comes back when it is over, once.
   * @throws the reason of the signal, where that ended the wait
   */
  async take(key: string, signal?: AbortSignal): Promise<() => void> {
    const lane = this.#lanes.get(key) ?? { taken: 0, waiting: new Set() }
    this.#lanes.set(key, lane)
    // Whoever has waited is handed the turn of another: the count stays.
    if (lane.taken >= this.#limit) await inLine(lane.waiting, signal)
    else lane.taken += 1
    return () => this.#pass(key, lane)
  }

  #pass(key: string, lane: { taken: number; readonly waiting: Set<() => void> }): void {
    const [next] = lane.waiting
    if (next) return next()
    lane.taken -= 1
    if (lane.taken === 0) this.#lanes.delete(key)
  }
}

function inLine(waiting: Set<() => void>, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const leave = () => {
    waiting.delete(called)
    // An abort reason is whatever the aborter says: a TimeoutError here.
    reject(signal?.reason as Error)
  }
  const called = () => {
    waiting.delete(called)
    signal?.removeEventListener('abort', leave)
    resolve()
  }
  if (signal?.aborted) leave()
  else {
    waiting.add(called)
    signal?.addEventListener('abort', leave, { once: true })
  }
  return promise
}
