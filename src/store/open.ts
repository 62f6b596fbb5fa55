import type { Clock } from '../core/clock.ts'
import type { References, SecretReference } from '../secrets/reference.ts'
import { Feed } from './feed.ts'
import { Ledger } from './ledger.ts'
import { migrate } from './migrate.ts'
import { buildDatabase, type StoreSettings } from './registry.ts'
import { type SealKey, sealKeyOf } from './seal.ts'
import { type SealKeys, SqlSecrets } from './sealed-secrets.ts'
import { SqlStore } from './sql-store.ts'
import { type Store, StoreError } from './store.ts'

/** What the store is opened with. */
export interface StoreTools {
  readonly references: References
  readonly clock: Clock
  /** Where relative paths start: the directory of the settings file. Absolute. */
  readonly directory: string
  /** Told when the store is lost, and once for each other fault. No secret is in the message. */
  onFault(message: string): void
  /** From 0 up to but not including 1; Math.random without it. */
  random?(): number
}

/**
 * Opens the store: makes it where there is none, brings an older one up to date, reads all holdings, and follows what
 * others change from then on.
 * @throws Error in words, with a remedy
 */
export async function openStore(settings: StoreSettings, tools: StoreTools): Promise<Store> {
  const keys = sealKeysOf(settings, tools.references)
  const database = buildDatabase(settings, tools)
  const ledger = new Ledger(database, tools.onFault)
  const secrets = new SqlSecrets(ledger, keys, () => tools.clock.now())
  try {
    await database.open()
    await migrate(database)
    const confirmedAt = tools.clock.monotonic()
    await ledger.catchUp()
    await secrets.sealAnew()
    const feed = follow(ledger, settings, tools, confirmedAt)
    return new SqlStore({ ledger, feed, secrets, clock: tools.clock })
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
      catchUp: () => ledger.catchUp(),
      wordsOf: (error) => database.faultOf(error).words,
      onFault: tools.onFault,
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
