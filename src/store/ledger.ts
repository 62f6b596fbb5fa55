import type { Kysely, Transaction } from 'kysely'
import type { Holdings } from '../core/holdings.ts'
import type { Database } from './database.ts'
import { guarded } from './guarded.ts'
import { Known } from './known.ts'
import { type Delta, readSince } from './reading.ts'
import type { Tables, Touched } from './tables.ts'

/** How a change is made: by queries of its own transaction, naming whatever it touches. */
export interface Change {
  readonly db: Transaction<Tables>
  /** Once for each key. */
  touch(kind: Touched, key: string): void
}

/** A few thousand changes are read faster than everything; whoever was away for longer reads everything. */
const KEPT_CHANGES = 5_000
const PRUNE_EVERY = 500
/** A statement may have some thousand parameters, and a row has three. */
const MAX_ROWS = 1_000

type ChangeRow = Tables['changes']

/**
 * Makes changes, one at a time among all instances, and keeps what is known of the store in step with them. Each change
 * locks the one row of `revision` first; so revisions are numbered in the order of their commits, and no reader that sees
 * one misses an earlier one.
 */
export class Ledger {
  readonly #database: Database
  readonly #known = new Known()
  readonly #listeners = new Set<(holdings: Holdings) => void>()
  readonly #secretListeners = new Set<(name: string) => void>()
  readonly #onFault: (message: string) => void

  constructor(database: Database, onFault: (message: string) => void) {
    this.#database = database
    this.#onFault = onFault
  }

  get database(): Database {
    return this.#database
  }

  get holdings(): Holdings {
    return this.#known.holdings
  }

  onChange(listener: (holdings: Holdings) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  onSecret(listener: (name: string) => void): () => void {
    this.#secretListeners.add(listener)
    return () => this.#secretListeners.delete(listener)
  }

  /** Whole or not at all. It is known here when this resolves. @throws StoreError, of the work or `taken`, `lost` */
  async change<T>(work: (change: Change) => Promise<T>): Promise<T> {
    const make = () => this.#database.db.transaction().execute((db) => this.#make(db, work))
    const { result, delta } = await guarded(() => make().catch(orUnchanged<T>), this.#database)
    if (delta) this.#take(delta)
    return result
  }

  async #make<T>(db: Transaction<Tables>, work: (change: Change) => Promise<T>): Promise<Made<T>> {
    const revision = await lockNext(db)
    const touched: ChangeRow[] = []
    const result = await work({ db, touch: (kind, key) => touched.push({ revision, kind, key }) })
    if (touched.length === 0) throw new Unchanged(result)
    await writeDown(touched, db)
    if (revision % PRUNE_EVERY === 0) await prune(revision - KEPT_CHANGES, db)
    await this.#database.announce(db)
    return { result, delta: await readSince(this.holdings.revision, db) }
  }

  /** Reads what others have changed, where the revision says that there is something. @throws whatever the database does */
  async catchUp(): Promise<void> {
    const known = this.holdings.revision
    if ((await this.#database.revision()) === known) return
    const snapshot = this.#database.db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only')
    this.#take(await snapshot.execute((db) => readSince(known, db)))
  }

  /** A reading, with the faults of the database in our words. @throws StoreError `lost` */
  read<T>(work: (db: Kysely<Tables>) => Promise<T>): Promise<T> {
    return guarded(() => work(this.#database.db), this.#database)
  }

  #take(delta: Delta): void {
    if (!this.#known.take(delta)) return
    for (const listener of this.#listeners) this.#tell(() => listener(this.holdings))
    for (const name of delta.secrets) for (const listener of this.#secretListeners) this.#tell(() => listener(name))
  }

  /** The change is made; who cannot hear it must not make it look as if it was not. */
  #tell(call: () => void): void {
    try {
      call()
    } catch {
      this.#onFault('the store has changed, and somebody who was to be told failed')
    }
  }
}

/** `delta` is missing where nothing was changed. */
interface Made<T> {
  readonly result: T
  readonly delta?: Delta
}

/** Rolls back a transaction that touched nothing, so that no revision is spent on it. */
class Unchanged extends Error {
  readonly result: unknown

  constructor(result: unknown) {
    super('nothing was changed')
    this.result = result
  }
}

function orUnchanged<T>(error: unknown): Made<T> {
  // Thrown by #make of this very change, with what its work gave.
  if (error instanceof Unchanged) return { result: error.result as T }
  throw error
}

async function writeDown(touched: readonly ChangeRow[], db: Transaction<Tables>): Promise<void> {
  for (let at = 0; at < touched.length; at += MAX_ROWS) {
    await db
      .insertInto('changes')
      .values(touched.slice(at, at + MAX_ROWS))
      .execute()
  }
}

async function lockNext(db: Transaction<Tables>): Promise<number> {
  const { value } = await db
    .updateTable('revision')
    .set(({ eb }) => ({ value: eb('value', '+', 1) }))
    .returning('value')
    .executeTakeFirstOrThrow()
  return value
}

async function prune(upTo: number, db: Transaction<Tables>): Promise<void> {
  if (upTo < 1) return
  await db.deleteFrom('changes').where('revision', '<=', upTo).execute()
  await db.updateTable('revision').set({ kept_from: upTo }).execute()
}
