import { setTimeout as wait } from 'node:timers/promises'
import type { Database } from './database.ts'
import { StoreError } from './store.ts'

const PATIENCE_MS = 5_000

/** Does it again while another process is writing, for five seconds; nothing of a failed try is left behind. */
export async function whenFree<T>(work: () => Promise<T>, database: Pick<Database, 'faultOf'>): Promise<T> {
  const giveUpAt = performance.now() + PATIENCE_MS
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (database.faultOf(error).code !== 'busy' || performance.now() > giveUpAt) throw error
      await wait(5 + Math.random() * 20)
    }
  }
}

/** The same, with the faults of the database in our words. @throws StoreError: of the work itself, `taken`, `lost` */
export async function guarded<T>(work: () => Promise<T>, database: Pick<Database, 'faultOf'>): Promise<T> {
  try {
    return await whenFree(work, database)
  } catch (error) {
    if (error instanceof StoreError) throw error
    const { code, words } = database.faultOf(error)
    throw new StoreError(code === 'taken' ? 'taken' : 'lost', words)
  }
}
