import type { Kysely } from 'kysely'
import type { KeptLogin, LoginLease } from '../core/login.ts'
import type { Secret } from '../core/secret.ts'
import type { Ledger } from './ledger.ts'
import type { LoginRow, Tables } from './tables.ts'

interface Parts {
  readonly ledger: Ledger
  readonly logins: { sealed(content: Secret, row: LoginRow): Pick<LoginRow, 'sealed' | 'key_id'> }
}

/** A change of when it ends that is smaller is not told to the others. */
const NEWS_MS = 60_000

/**
 * A login that this process is about to spend. Everything is fenced by the version that was read: who comes late, because
 * others have taken over, still keeps what is newest, and never puts what is old in the place of what is newer.
 */
export class SqlLease implements LoginLease {
  readonly kept: KeptLogin
  readonly tries: number
  readonly #row: LoginRow
  readonly #parts: Parts

  constructor(row: LoginRow, kept: KeptLogin, parts: Parts) {
    this.kept = kept
    this.tries = row.tries
    this.#row = row
    this.#parts = parts
  }

  async keep(content: Secret, expiresAt?: number): Promise<number | undefined> {
    const version = this.#row.version + 1
    const next = { ...this.#row, version, lease: null, tries: 0, expires_at: expiresAt ?? null }
    const changes = { ...next, ...this.#parts.logins.sealed(content, next) }
    const { ledger } = this.#parts
    const written = this.#isNews(expiresAt)
      ? await ledger.change(async ({ db, touch }) => {
          const found = await this.#update(db, changes)
          if (found) touch('login', this.#row.id)
          return found
        })
      : await ledger.read((db) => this.#update(db, changes))
    return written ? version : undefined
  }

  async release(outcome: 'unspent' | 'unknown'): Promise<void> {
    const { id, lease, tries } = this.#row
    const left = outcome === 'unspent' ? Math.max(0, tries - 1) : tries
    await this.#parts.ledger.read((db) =>
      db
        .updateTable('logins')
        .set({ lease: null, tries: left })
        .where('id', '=', id)
        .where('version', '=', this.#row.version)
        .where('lease', '=', lease)
        .execute(),
    )
  }

  async drop(): Promise<boolean> {
    return this.#parts.ledger.change(async ({ db, touch }) => {
      const found = await this.#update(db, { sealed: null, key_id: null, lease: null, tries: 0 })
      if (found) touch('login', this.#row.id)
      return found
    })
  }

  #isNews(expiresAt: number | undefined): boolean {
    const before = this.#row.expires_at ?? undefined
    if (before === undefined || expiresAt === undefined) return before !== expiresAt
    return Math.abs(before - expiresAt) >= NEWS_MS
  }

  async #update(db: Kysely<Tables>, changes: Partial<LoginRow>): Promise<boolean> {
    const { id, version } = this.#row
    const found = await db
      .updateTable('logins')
      .set(changes)
      .where('id', '=', id)
      .where('version', '=', version)
      .returning('id')
      .executeTakeFirst()
    return found !== undefined
  }
}
