import type { Clock } from '../core/clock.ts'

/** The machine's own two clocks. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
}
