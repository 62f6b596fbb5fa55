import type { References, SecretReference } from '../secrets/reference.ts'
import { Feed } from './feed.ts'
import { whenFree } from './guarded.ts'
import { Ledger } from './ledger.ts'
import { migrate } from './migrate.ts'
import { buildDatabase, type StoreSettings } from './registry.ts'
import { type SealKey, sealKeyOf } from './seal.ts'
import { SqlLogins } from './sealed-logins.ts'
import { type SealKeys, SqlSecrets } from './sealed-secrets.ts'
import { SqlStore } from './sql-store.ts'
import { type Store, StoreError } from './store.ts'
import type { StoreTools } from './tools.ts'

/** Does what `openStore` says. */
export async function openSqlStore(settings: StoreSettings, tools: StoreTools): Promise<Store> {
  const keys = sealKeysOf(settings, tools.references)
  const database = await buildDatabase(settings, tools)
  const ledger = new Ledger(database, tools.onFault)
  const secrets = new SqlSecrets(ledger, keys, () => tools.clock.now())
  const logins = new SqlLogins(ledger, keys, () => tools.clock.now())
  try {
    await database.open()
    await migrate(database)
    const confirmedAt = tools.clock.monotonic()
    await whenFree(() => ledger.catchUp(), database)
    await secrets.sealAnew()
    await logins.sealAnew()
    const feed = follow(ledger, settings, tools, confirmedAt)
    return new SqlStore({ ledger, feed, secrets, logins, clock: tools.clock })
  } catch (error) {
    await database.close()
    throw inWords(error, ledger)
  }
}

function follow(ledger: Ledger, { pollMs }: StoreSettings, tools: StoreTools, confirmedAt: number): Feed {
  const { database } = ledger
  const feed = new Feed(
    {
      pollMs,
      clock: tools.clock,
      random: tools.random ?? Math.random,
      catchUp: () => whenFree(() => ledger.catchUp(), database),
      wordsOf: (error) => database.faultOf(error).words,
      onFault: tools.onFault,
      onHealed: () => tools.onHealed?.(),
    },
    confirmedAt,
  )
  database.onHint(() => feed.hint())
  return feed
}

function sealKeysOf({ key, previousKeys }: StoreSettings, references: References): SealKeys {
  const open = (reference: SecretReference): SealKey => sealKeyOf(references.secret(reference).current().secret)
  return { current: key && open(key), previous: previousKeys.map(open) }
}

function inWords(error: unknown, { database }: Ledger): Error {
  if (error instanceof StoreError) return error
  return new StoreError('lost', database.faultOf(error).words)
}
