import { setTimeout as wait } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import type { StoredLogin } from '../core/holdings.ts'
import type { KeptLogin, LoginPlace, RemovedLogin } from '../core/login.ts'
import type { Secret } from '../core/secret.ts'
import { nextId } from './ids.ts'
import type { Ledger } from './ledger.ts'
import { SqlLease } from './login-lease.ts'
import { loginOf } from './rows.ts'
import { type SealKey, seal, unseal } from './seal.ts'
import type { SealKeys } from './sealed-secrets.ts'
import { type LoginFacts, type SealedLogins, StoreError } from './store.ts'
import type { LoginRow, Tables } from './tables.ts'

/** Between two looks at a lease that somebody else has. */
const LOOK_MS = 20
/** Longer than any two refreshes take. */
const PATIENCE_MS = 150_000
const MAX_BYTES = 131_072

/** Logins under the store's own key. */
export class SqlLogins implements SealedLogins {
  readonly #ledger: Ledger
  readonly #keys: SealKeys
  readonly #now: () => number
  #index: { readonly of: readonly StoredLogin[]; readonly byPlace: ReadonlyMap<string, StoredLogin> } | undefined

  constructor(ledger: Ledger, keys: SealKeys, now: () => number) {
    this.#ledger = ledger
    this.#keys = keys
    this.#now = now
  }

  find(place: LoginPlace): StoredLogin | undefined {
    const { logins } = this.#ledger.holdings
    if (this.#index?.of !== logins)
      this.#index = { of: logins, byPlace: new Map(logins.map((login) => [keyOf(login), login])) }
    return this.#index.byPlace.get(keyOf(place))
  }

  of(connection: string): readonly StoredLogin[] {
    return this.#ledger.holdings.logins.filter((login) => login.connection === connection)
  }

  async open(place: LoginPlace): Promise<KeptLogin | undefined> {
    const row = await this.#rowAt(place)
    return row && row.sealed !== null ? this.unsealed(row) : undefined
  }

  async put({ connection, identity }: LoginPlace, content: Secret, { by, expiresAt, ifAbsent }: LoginFacts) {
    const row: LoginRow = {
      id: nextId(),
      connection,
      identity,
      version: 1,
      sealed: null,
      key_id: null,
      lease: null,
      lease_ms: 0,
      tries: 0,
      expires_at: expiresAt ?? null,
      created_at: this.#now(),
      created_by: by,
    }
    const sealed = { ...row, ...this.sealed(content, row) }
    return this.#ledger.change(async ({ db, touch }) => {
      const there = ifAbsent && (await rowAt(row, db))
      if (there) return loginOf(there)
      const before = db.deleteFrom('logins').where('connection', '=', connection).where('identity', '=', identity)
      for (const { id } of await before.returning('id').execute()) touch('login', id)
      await db.insertInto('logins').values(sealed).execute()
      touch('login', row.id)
      return loginOf(sealed)
    })
  }

  async remove({ connection, identity }: LoginPlace): Promise<RemovedLogin | undefined> {
    return this.#ledger.change(async ({ db, touch }) => {
      const gone = await db
        .deleteFrom('logins')
        .where('connection', '=', connection)
        .where('identity', '=', identity)
        .returningAll()
        .executeTakeFirst()
      if (gone) touch('login', gone.id)
      return gone && this.removed(gone)
    })
  }

  /** As others see a row that is no more. What nobody can open is taken away all the same. */
  removed(row: LoginRow): RemovedLogin {
    return { login: loginOf(row), content: row.sealed === null ? undefined : this.#opened(row) }
  }

  /**
   * No clock of another machine is believed: a lease is over when it has been seen unchanged for as long as it was taken
   * for. Whoever was only slow has not lost anything by that: what is kept is fenced by its version.
   */
  async lease(place: LoginPlace, holdMs: number): Promise<SqlLease | undefined> {
    const giveUpAt = performance.now() + PATIENCE_MS
    let seen: { readonly lease: string | null; readonly since: number } | undefined
    while (performance.now() < giveUpAt) {
      const row = await this.#rowAt(place)
      if (!row || row.sealed === null) return undefined
      if (!seen || seen.lease !== row.lease) seen = { lease: row.lease, since: performance.now() }
      const isFree = row.lease === null || performance.now() - seen.since >= row.lease_ms
      const taken = isFree ? await this.#take(row, holdMs) : undefined
      if (taken) return new SqlLease(taken, this.unsealed(taken), { ledger: this.#ledger, logins: this })
      await wait(LOOK_MS * (1 + Math.random()))
    }
    throw new StoreError('lost', 'another instance goes on refreshing the same login, and does not end')
  }

  /** Counted before anything is sent: who is killed in between has left that it may have been shown. */
  async #take(row: LoginRow, holdMs: number): Promise<LoginRow | undefined> {
    return this.#ledger.read((db) =>
      db
        .updateTable('logins')
        .set(({ eb }) => ({ lease: nextId(), lease_ms: Math.ceil(holdMs), tries: eb('tries', '+', 1) }))
        .where('id', '=', row.id)
        .where('version', '=', row.version)
        .where('lease', row.lease === null ? 'is' : '=', row.lease)
        .returningAll()
        .executeTakeFirst(),
    )
  }

  #rowAt(place: LoginPlace): Promise<LoginRow | undefined> {
    return this.#ledger.read((db) => rowAt(place, db))
  }

  /** Seals under the key in use what is sealed under another one that is known. */
  async sealAnew(): Promise<void> {
    const { current } = this.#keys
    if (!current) return
    const rows = await this.#ledger.read((db) =>
      db.selectFrom('logins').selectAll().where('key_id', '<>', current.id).execute(),
    )
    for (const row of rows) {
      if (!this.#keyOf(row)) continue
      const again = this.sealed(this.unsealed(row).content, row)
      await this.#ledger.read((db) =>
        db
          .updateTable('logins')
          .set(again)
          .where('id', '=', row.id)
          .where('version', '=', row.version)
          .where('key_id', '=', row.key_id)
          .execute(),
      )
    }
  }

  /** @throws StoreError `key` */
  sealed(content: Secret, row: LoginRow): Pick<LoginRow, 'sealed' | 'key_id'> {
    const key = this.#keys.current
    if (!key) throw new StoreError('key', 'the store has no key to seal logins with: name one in "store.key"')
    if (Buffer.byteLength(content.reveal()) > MAX_BYTES)
      throw new StoreError('key', 'the tokens are too long to be kept')
    return { sealed: seal(content, placeOf(row), key), key_id: key.id }
  }

  /** @throws StoreError `key` */
  unsealed(row: LoginRow): KeptLogin {
    const content = this.#opened(row)
    if (content) return { id: row.id, version: row.version, content }
    const words = this.#keyOf(row) ? 'was changed by somebody else' : 'is sealed under another key than "store.key"'
    throw new StoreError('key', `the login of ${row.connection} in the store ${words}: log in again`)
  }

  #opened(row: LoginRow): Secret | undefined {
    const key = this.#keyOf(row)
    return key && unseal(row.sealed ?? '', placeOf(row), key)
  }

  #keyOf({ key_id }: LoginRow): SealKey | undefined {
    return [this.#keys.current, ...this.#keys.previous].find((key) => key?.id === key_id)
  }
}

/** No secret has a blank in its name, so neither opens in the place of the other; and nobody's login in that of another. */
function placeOf({ id, connection, identity, version }: LoginRow): { name: string; version: number } {
  return { name: `login ${JSON.stringify([id, connection, identity])}`, version }
}

function rowAt({ connection, identity }: LoginPlace, db: Kysely<Tables>): Promise<LoginRow | undefined> {
  return db
    .selectFrom('logins')
    .selectAll()
    .where('connection', '=', connection)
    .where('identity', '=', identity)
    .executeTakeFirst()
}

function keyOf({ connection, identity }: LoginPlace): string {
  return JSON.stringify([connection, identity])
}
