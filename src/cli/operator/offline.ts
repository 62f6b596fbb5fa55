import { dirname } from 'node:path'
import { loadSettings } from '../../settings/load.ts'
import { openReferences } from '../../settings/open.ts'
import { openStore } from '../../store/open.ts'
import type { Store } from '../../store/store.ts'
import { systemClock } from '../../wire/system-clock.ts'

/**
 * Opens the store of a settings file by itself, for what a sidecar needs before it can start. Nothing of it is in the audit:
 * whoever can read the settings and the key of the store can write to it anyway.
 * @throws SettingsError, StoreError, Error in words
 */
export async function withStore<T>(config: string | undefined, use: (store: Store) => Promise<T>): Promise<T> {
  if (config === undefined) throw new Error('use --config FILE with --offline: it says where the store is')
  const loaded = await loadSettings(config)
  const settings = loaded.settings.store
  if (!settings)
    throw new Error(`add "store: { kind: sqlite, path: FILE, key: { file: KEY } }" to ${config}: there is no store`)
  const onFault = (message: string) => void process.stderr.write(`${message}\n`)
  const references = await openReferences(loaded, onFault)
  try {
    const store = await openStore(settings, {
      references,
      clock: systemClock,
      directory: dirname(loaded.file),
      onFault,
    })
    try {
      return await use(store)
    } finally {
      await store.close()
    }
  } finally {
    references.close()
  }
}
