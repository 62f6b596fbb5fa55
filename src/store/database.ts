import type { Kysely, Transaction } from 'kysely'
import type { References } from '../secrets/reference.ts'
import type { Tables } from './tables.ts'

/** What differs between one kind of database and another, and nothing else. */
export interface Database {
  /** Where it is, for messages: no user and no password in it. */
  readonly place: string
  /** What a change is made with: durable when it is committed, whatever happens to the machine next. */
  readonly db: Kysely<Tables>
  /** For many rows at once; the power going out may cost the last of them, where that makes it faster. */
  readonly bulk: Kysely<Tables>

  /** Called once, before anything else. @throws Error in words, with a remedy */
  open(): Promise<void>
  /** One at a time among all processes on this database, whole or not at all. `schema`: where the tables are. */
  migrate(work: (db: Kysely<Tables>, schema: string | undefined) => Promise<void>): Promise<void>
  /** As it is now, by a way that notices within seconds when the database is gone. */
  revision(): Promise<number>
  /** Called when there may be news, before the next poll would find them. At most one listener. */
  onHint(listener: () => void): void
  /** Tells the others, once this transaction is committed. */
  announce(transaction: Transaction<Tables>): Promise<void>
  /** Adds those rows that are not there yet: all of them or, if it throws, none. As durable as `bulk`. */
  insertNew<Row extends object>(table: keyof Tables, rows: NewRows<Row>): Promise<void>
  /** What went wrong, in our words: what a database says may hold what was written into it. */
  faultOf(error: unknown): DatabaseFault
  /** Waits for nobody who does not answer. Idempotent. */
  close(): Promise<void>
}

/** Rows, and the columns that they have. */
export interface NewRows<Row extends object> {
  readonly columns: Readonly<Record<keyof Row, 'text' | 'bigint'>>
  readonly rows: readonly Row[]
}

/** `busy`: another process is writing; worth another try. `taken`: what must be unique is there. `lost`: anything else. */
export interface DatabaseFault {
  readonly code: 'busy' | 'taken' | 'lost'
  readonly words: string
}

/** What every kind of database is built with. */
export interface DatabaseTools {
  readonly references: References
  /** Where relative paths start. */
  readonly directory: string
}
