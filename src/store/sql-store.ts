import type { Clock } from '../core/clock.ts'
import {
  type Holdings,
  identityOfCaller,
  type StoredCaller,
  type StoredGrant,
  type StoredKey,
  type StoredSwitch,
} from '../core/holdings.ts'
import { SqlAudit } from './audit-sql.ts'
import type { Feed } from './feed.ts'
import { nextId } from './ids.ts'
import type { Change, Ledger } from './ledger.ts'
import { callersOf, grantRowOf, grantsOf, grantsTo, keyRowOf, switchOf } from './rows.ts'
import type { SqlLogins } from './sealed-logins.ts'
import type { SqlSecrets } from './sealed-secrets.ts'
import { type KeyDraft, type RemovedCaller, type Store, StoreError, type StoreState } from './store.ts'
import type { LoginRow } from './tables.ts'

interface Parts {
  readonly ledger: Ledger
  readonly feed: Feed
  readonly secrets: SqlSecrets
  readonly logins: SqlLogins
  readonly clock: Clock
}

/** The store on either kind of database. */
export class SqlStore implements Store {
  readonly secrets: SqlSecrets
  readonly logins: SqlLogins
  readonly audit: SqlAudit
  readonly #ledger: Ledger
  readonly #feed: Feed
  readonly #clock: Clock

  constructor({ ledger, feed, secrets, logins, clock }: Parts) {
    this.#ledger = ledger
    this.#feed = feed
    this.#clock = clock
    this.secrets = secrets
    this.logins = logins
    this.audit = new SqlAudit(ledger.database)
  }

  holdings(): Holdings {
    return this.#ledger.holdings
  }

  onChange(listener: (holdings: Holdings) => void): () => void {
    return this.#ledger.onChange(listener)
  }

  confirmedAt(): number {
    return this.#feed.confirmedAt()
  }

  state(): StoreState {
    return this.#feed.state()
  }

  async addCaller({ name, createdBy }: Pick<StoredCaller, 'name' | 'createdBy'>, key: KeyDraft): Promise<StoredCaller> {
    return this.#ledger.change(async ({ db, touch }) => {
      const createdAt = this.#clock.now()
      const there = await db.selectFrom('callers').select('name').where('name', '=', name).executeTakeFirst()
      if (there) throw new StoreError('taken', `the store has a caller ${name} already`)
      const first = this.#newKey(key, createdAt)
      // Of one who was called so in the settings, say, and is gone.
      await forgetLogins(name, { db, touch })
      await db.insertInto('callers').values({ name, created_at: createdAt, created_by: createdBy }).execute()
      await db.insertInto('caller_keys').values(keyRowOf(name, first)).execute()
      touch('caller', name)
      return { name, createdAt, createdBy, keys: [first] }
    })
  }

  async removeCaller(name: string): Promise<RemovedCaller> {
    return this.#ledger.change(async ({ db, touch }) => {
      const caller = (await callersOf([name], db)).get(name)
      if (!caller) throw missingCaller(name)
      const grants = await grantsTo(name, db)
      await db.deleteFrom('grants').where('caller', '=', name).execute()
      const logins = (await forgetLogins(name, { db, touch })).map((row) => this.logins.removed(row))
      await db.deleteFrom('callers').where('name', '=', name).execute()
      touch('caller', name)
      for (const { id } of grants) touch('grant', id)
      return { caller, grants, logins }
    })
  }

  async rotateKey(caller: string, key: KeyDraft, othersUntil: number): Promise<StoredKey> {
    return this.#ledger.change(async ({ db, touch }) => {
      const there = await db.selectFrom('callers').select('name').where('name', '=', caller).executeTakeFirst()
      if (!there) throw missingCaller(caller)
      const added = this.#newKey(key, this.#clock.now())
      // One that ends earlier still does, and what has ended is not kept.
      await db
        .deleteFrom('caller_keys')
        .where('caller', '=', caller)
        .where('expires_at', '<=', added.createdAt)
        .execute()
      await db
        .updateTable('caller_keys')
        .set({ expires_at: othersUntil })
        .where('caller', '=', caller)
        .where(({ eb, or }) => or([eb('expires_at', 'is', null), eb('expires_at', '>', othersUntil)]))
        .execute()
      await db.insertInto('caller_keys').values(keyRowOf(caller, added)).execute()
      touch('caller', caller)
      return added
    })
  }

  #newKey({ digest, expiresAt }: KeyDraft, createdAt: number): StoredKey {
    return { id: nextId(), digest, createdAt, expiresAt }
  }

  async addGrant(draft: Omit<StoredGrant, 'id' | 'createdAt'>): Promise<StoredGrant> {
    const { caller } = draft.holder
    const isOfStore = this.holdings().callers.some(({ name }) => name === caller)
    return this.#ledger.change(async ({ db, touch }) => {
      if (caller !== undefined && isOfStore) await lookForCaller(caller, db)
      const grant = { ...draft, id: nextId(), createdAt: this.#clock.now() }
      await db.insertInto('grants').values(grantRowOf(grant)).execute()
      touch('grant', grant.id)
      return grant
    })
  }

  async removeGrants(ids: readonly string[]): Promise<readonly StoredGrant[]> {
    if (ids.length === 0) return []
    return this.#ledger.change(async ({ db, touch }) => {
      const grants = await grantsOf(ids, db)
      await db.deleteFrom('grants').where('id', 'in', ids).execute()
      for (const id of grants.keys()) touch('grant', id)
      return [...new Set(ids)].flatMap((id) => grants.get(id) ?? [])
    })
  }

  async disable(connection: string, by: string, reason: string | undefined): Promise<StoredSwitch> {
    return this.#ledger.change(async ({ db, touch }) => {
      const row = { connection, disabled_at: this.#clock.now(), disabled_by: by, reason: reason ?? null }
      const now = await db
        .insertInto('switches')
        .values(row)
        .onConflict((conflict) => conflict.column('connection').doUpdateSet({ reason: row.reason }))
        .returningAll()
        .executeTakeFirstOrThrow()
      touch('switch', connection)
      return switchOf(now)
    })
  }

  async enable(connection: string): Promise<boolean> {
    return this.#ledger.change(async ({ db, touch }) => {
      const gone = await db
        .deleteFrom('switches')
        .where('connection', '=', connection)
        .returning('connection')
        .execute()
      if (gone.length > 0) touch('switch', connection)
      return gone.length > 0
    })
  }

  async close(): Promise<void> {
    await this.#feed.close()
    await this.#ledger.database.close()
  }
}

/** A grant to a caller that was removed meanwhile would be the next one's of that name. */
async function lookForCaller(name: string, db: Change['db']): Promise<void> {
  const there = await db.selectFrom('callers').select('name').where('name', '=', name).executeTakeFirst()
  if (!there) throw missingCaller(name)
}

/** Like a grant, the consent of one who is gone would be the next one's of that name. */
async function forgetLogins(caller: string, { db, touch }: Change): Promise<readonly LoginRow[]> {
  const rows = await db.deleteFrom('logins').where('identity', '=', identityOfCaller(caller)).returningAll().execute()
  for (const { id } of rows) touch('login', id)
  return rows
}

function missingCaller(name: string): StoreError {
  return new StoreError('missing', `the store has no caller ${name}`)
}
