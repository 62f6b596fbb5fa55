import type { Clock } from '../core/clock.ts'
import type { References } from '../secrets/reference.ts'
import type { StoreSettings } from './registry.ts'
import type { Store } from './store.ts'

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

/**
 * Opens the store: makes it where there is none, brings an older one up to date, reads all holdings, and follows what
 * others change from then on.
 * @throws StoreError in words, with a remedy
 */
export async function openStore(settings: StoreSettings, tools: StoreTools): Promise<Store> {
  // Kysely takes 27 MB, which a sidecar without a store does not pay.
  const { openSqlStore } = await import('./opening.ts')
  return openSqlStore(settings, tools)
}
