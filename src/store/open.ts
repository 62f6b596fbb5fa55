import type { StoreSettings } from './registry.ts'
import type { Store } from './store.ts'
import type { StoreTools } from './tools.ts'

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
