import { resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Kysely, type RawBuilder, sql } from 'kysely'
import type { Kind } from '../forms/kind.ts'
import { z } from '../forms/zod.ts'
import { commonSettings } from './common.ts'
import type { Database, DatabaseFault, DatabaseTools } from './database.ts'
import { whenFree } from './guarded.ts'
import { sqliteDialect } from './sqlite-dialect.ts'
import { SqliteFileReplaced, sqliteFault } from './sqlite-fault.ts'
import { type FileIdentity, identityOf, prepareFile } from './sqlite-file.ts'
import type { Tables } from './tables.ts'

const schema = z
  .strictObject({
    kind: z.literal('sqlite'),
    path: z.string().min(1).meta({
      description:
        'file of the database; made, and closed to other users, when it is not there; on a local disk, in a directory that is closed to other users',
    }),
    ...commonSettings,
  })
  .meta({ description: 'one file; several processes of one machine may share it' })

type Settings = z.infer<typeof schema>

/** SQLite in one file, by Node's own library. */
export const sqlite: Kind<typeof schema, DatabaseTools, Database> = {
  schema,
  build: (settings, { directory }) => new SqliteFile(settings, directory),
}

/** Marks the file as ours: "SALY". */
const APPLICATION_ID = 0x53414c59
/** How long a statement blocks this process while another one writes; then it is tried again, without blocking. */
const BUSY_MS = 20

class SqliteFile implements Database {
  readonly place: string
  readonly #files: DatabaseSync[] = []
  #identity: FileIdentity | undefined
  #db: Kysely<Tables> | undefined
  #bulk: Kysely<Tables> | undefined

  constructor({ path }: Settings, directory: string) {
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
    this.#db = await this.#openAs('FULL')
    // NORMAL survives a crash of the process as well; the power going out may cost what was written last.
    this.#bulk = await this.#openAs('NORMAL')
  }

  async #openAs(synchronous: 'FULL' | 'NORMAL'): Promise<Kysely<Tables>> {
    const file = new DatabaseSync(this.place, { timeout: BUSY_MS, enableForeignKeyConstraints: true })
    this.#files.push(file)
    await whenFree(async () => file.exec(`pragma journal_mode = WAL; pragma synchronous = ${synchronous}`), this)
    return new Kysely({ dialect: sqliteDialect(file) })
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

  rowsOf(json: string, columns: Readonly<Record<string, 'text' | 'bigint'>>): RawBuilder<unknown> {
    const fields = Object.keys(columns).map((name) => sql`value ->> ${sql.lit(name)} as ${sql.ref(name)}`)
    return sql`(select ${sql.join(fields)} from json_each(${json})) as rows`
  }

  faultOf(error: unknown): DatabaseFault {
    return sqliteFault(error, this.place)
  }

  async close(): Promise<void> {
    await this.#db?.destroy()
    await this.#bulk?.destroy()
    // Kysely closes only what it has used.
    for (const file of this.#files) if (file.isOpen) file.close()
  }
}

function opened(db: Kysely<Tables> | undefined): Kysely<Tables> {
  if (!db) throw new Error('the database was not opened')
  return db
}
