import type { Clock } from '../core/clock.ts'
import type { References } from '../secrets/reference.ts'

/** What the store is opened with. */
export interface StoreTools {
  readonly references: References
  readonly clock: Clock
  /** Where relative paths start: the directory of the settings file. Absolute. */
  readonly directory: string
  /** Told when the store is lost, and once for each other fault. No secret is in the message. */
  onFault(message: string): void
  /** Told when it is there again. */
  onHealed?(): void
  /** From 0 up to but not including 1; Math.random without it. */
  random?(): number
}
