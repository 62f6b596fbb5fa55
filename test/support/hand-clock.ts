import type { Clock } from '../../src/core/clock.ts'

/** Two clocks moved by hand, ms. */
export class HandClock implements Clock {
  #wall = Date.UTC(2026, 10, 22)
  #monotonic = 1_000

  now(): number {
    return this.#wall
  }

  monotonic(): number {
    return this.#monotonic
  }

  /** Time passes. */
  advance(ms: number): void {
    this.#wall += ms
    this.#monotonic += ms
  }

  /** Somebody sets the wall clock, or the machine slept: the monotonic clock knows nothing of it. */
  jumpWall(ms: number): void {
    this.#wall += ms
  }
}
