import { resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Kysely, sql } from 'kysely'
import type { Database, DatabaseFault, NewRows } from './database.ts'
import { whenFree } from './guarded.ts'
import { sqliteDialect } from './sqlite-dialect.ts'
import { SqliteFileReplaced, sqliteFault } from './sqlite-fault.ts'
import { type FileIdentity, identityOf, prepareFile } from './sqlite-file.ts'
import { SqliteThread, sqliteThreadDialect } from './sqlite-thread.ts'
import type { Tables } from './tables.ts'

/** Marks the file as ours: "SALY". */
const APPLICATION_ID = 0x53414c59
/** SQLite waits by blocking the whole process; so it is told not to, and `whenFree` tries again. */
const BUSY_MS = 0

/** One file, twice open: for changes here, and for many rows in a thread of its own. `path` starts at `directory`, which is absolute. */
export class SqliteFile implements Database {
  readonly place: string
  #file: DatabaseSync | undefined
  #identity: FileIdentity | undefined
  #db: Kysely<Tables> | undefined
  #bulk: Kysely<Tables> | undefined
  #thread: SqliteThread | undefined

  constructor(path: string, directory: string) {
    this.place = resolve(directory, path)
  }

  get db(): Kysely<Tables> {
    return opened(this.#db)
  }

  get bulk(): Kysely<Tables> {
    return opened(this.#bulk)
  }

  async open(): Promise<void> {
    this.#identity = await prepareFile(this.place)
    const file = new DatabaseSync(this.place, { timeout: BUSY_MS, enableForeignKeyConstraints: true })
    this.#file = file
    await whenFree(async () => file.exec('pragma journal_mode = WAL; pragma synchronous = FULL'), this)
    this.#db = new Kysely({ dialect: sqliteDialect(file) })
    // NORMAL survives a crash of the process as well; the power going out may cost what was written last.
    this.#thread = new SqliteThread({ path: this.place, setUp: 'pragma synchronous = NORMAL' })
    this.#bulk = new Kysely({ dialect: sqliteThreadDialect(this.#thread) })
  }

  async migrate(work: (db: Kysely<Tables>, schema: undefined) => Promise<void>): Promise<void> {
    await this.db.connection().execute(async (db) => {
      // Kysely's adapter knows of no DDL in transactions here, and takes no lock.
      await sql`begin immediate`.execute(db)
      try {
        await this.#claim(db)
        await work(db, undefined)
        await sql`commit`.execute(db)
      } catch (error) {
        await sql`rollback`.execute(db)
        throw error
      }
    })
  }

  /** Tables of ours do not belong into the file of another program. */
  async #claim(db: Kysely<Tables>): Promise<void> {
    const { rows } = await sql<{ application_id: number }>`pragma application_id`.execute(db)
    if (rows[0]?.application_id === APPLICATION_ID) return
    const tables = await sql`select name from sqlite_master limit 1`.execute(db)
    if (tables.rows.length > 0)
      throw new Error(`${this.place} is a database of another program: name another file, and it is made`)
    await sql`pragma application_id = ${sql.lit(APPLICATION_ID)}`.execute(db)
  }

  async revision(): Promise<number> {
    const found = await identityOf(this.place)
    if (found?.ino !== this.#identity?.ino || found?.dev !== this.#identity?.dev) throw new SqliteFileReplaced()
    const { value } = await this.db.selectFrom('revision').select('value').executeTakeFirstOrThrow()
    return value
  }

  onHint(): void {
    // Nobody tells: the file is looked at.
  }

  async announce(): Promise<void> {
    // The others look at the file.
  }

  /** Bound row by row: SQLite needs three times as long to take the rows out of one JSON text. */
  async insertNew<Row extends object>(table: keyof Tables, { columns, rows }: NewRows<Row>): Promise<void> {
    const names = Object.keys(columns)
    const places = sql.join(names.map((name) => sql.val(name)))
    const into = sql`insert into ${sql.table(table)} (${sql.join(names.map((name) => sql.ref(name)))})`
    const insert = sql`${into} values (${places}) on conflict do nothing`.compile(this.bulk)
    const each = rows.map((row) => names.map((name) => row[name as keyof Row]))
    // Whoever has a transaction in that thread ends it first.
    await this.bulk.connection().execute(() => opened(this.#thread).run({ sql: insert.sql, each }))
  }

  faultOf(error: unknown): DatabaseFault {
    return sqliteFault(error, this.place)
  }

  async close(): Promise<void> {
    await this.#db?.destroy()
    await this.#bulk?.destroy()
    // Kysely closes it only when it has used it.
    if (this.#file?.isOpen) this.#file.close()
  }
}

function opened<T>(part: T | undefined): T {
  if (!part) throw new Error('the database was not opened')
  return part
}
