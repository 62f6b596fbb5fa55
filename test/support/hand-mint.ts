import { Problem } from '../../src/core/problem.ts'
import { Secret } from '../../src/core/secret.ts'
import type { Mint, Minted } from '../../src/credentials/mint.ts'
import type { HandClock } from './hand-clock.ts'

/** A mint whose every flight ends when, and as, the test says. */
export class HandMint {
  readonly #clock: HandClock
  #flights: { readonly sentAt: Minted['sentAt']; resolve(minted: Minted): void; reject(error: unknown): void }[] = []
  /** Flights begun so far. */
  calls = 0
  /** The most that were in the air together. */
  mostAtOnce = 0

  constructor(clock: HandClock) {
    this.#clock = clock
  }

  readonly mint: Mint = () => {
    this.calls += 1
    const { promise, resolve, reject } = Promise.withResolvers<Minted>()
    this.#flights.push({ sentAt: { wall: this.#clock.now(), monotonic: this.#clock.monotonic() }, resolve, reject })
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#flights.length)
    return promise
  }

  get inTheAir(): number {
    return this.#flights.length
  }

  /** Ends the flight with a token. Resolves when the supply has taken it in. */
  async land(text: string, lifetimeMs: number): Promise<void> {
    const flight = this.#take()
    flight.resolve({ secret: new Secret(text), sentAt: flight.sentAt, lifetimeMs })
    await settled()
  }

  /** Ends the flight with a failure. */
  async crash(error: unknown): Promise<void> {
    this.#take().reject(error)
    await settled()
  }

  #take() {
    const flight = this.#flights.shift()
    if (!flight) throw new Error('no mint is in the air')
    return flight
  }
}

/** A failure that may pass; `retryAfter` in seconds. */
export function passing(retryAfter?: number): Problem {
  return new Problem('credential-unavailable', {
    reason: 'out of order',
    ...(retryAfter !== undefined && { retryAfter }),
  })
}

/** A failure that lasts until somebody changes something. */
export function lasting(): Problem {
  return new Problem('credential-failed', { reason: 'login.test answered 401 invalid_client' })
}

/** Every promise that could be settled by now, has been. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
