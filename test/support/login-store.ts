import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import { openStore } from '../../src/store/open.ts'
import { storeSettings } from '../../src/store/registry.ts'
import type { Store } from '../../src/store/store.ts'
import { systemClock } from '../../src/wire/system-clock.ts'
import { privateDirectory, remove } from './sallyport.ts'

/** A store in a file of its own, with a key, for all tests of a file; several may be opened on one directory. */
export async function openLoginStore(directory = privateDirectory(), key = FILE_KEY): Promise<Store> {
  const settings = storeSettings.parse({ kind: 'sqlite', path: 'store/logins.db', key: { env: 'KEY' }, pollMs: 50 })
  const faults: string[] = []
  const store = await openStore(settings, {
    references: { secret: () => ({ current: () => ({ secret: new Secret(key), version: 1 }) }), file: () => '' },
    clock: systemClock,
    directory,
    onFault: (message) => void faults.push(message),
  })
  afterAll(async () => {
    await store.close()
    remove(join(directory))
    if (faults.length > 0) throw new Error(`the store told of faults: ${faults.join('; ')}`)
  })
  return store
}

const FILE_KEY = randomBytes(32).toString('base64')
