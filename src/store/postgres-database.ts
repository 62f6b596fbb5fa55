import type { Socket } from 'node:net'
import { Kysely, PostgresDialect, sql, type Transaction } from 'kysely'
import { Client, Pool, type PoolConfig } from 'pg'
import type { Database, DatabaseFault, NewRows } from './database.ts'
import { clientConfig, poolOf } from './postgres-client.ts'
import { postgresFault } from './postgres-fault.ts'
import { Listener, NOTIFY } from './postgres-listener.ts'
import type { PostgresPlace } from './postgres-url.ts'
import { StoreError } from './store.ts'
import type { Tables } from './tables.ts'

const CLOSE_MS = 1_000
/** A migration may wait for another instance, and take its time over a large table. */
const PATIENT = { statement_timeout: 0, query_timeout: 0, max: 1 }

/** `place`: asked for whenever somebody connects. `caPem`: whom to trust instead of the public authorities. */
export class PostgresServer implements Database {
  readonly #place: () => PostgresPlace
  readonly #caPem: string | undefined
  readonly #sockets = new Set<Socket>()
  readonly #listener = new Listener(() => new Client(this.#config()))
  #name = 'its URL'
  #pool: Pool | undefined
  #db: Kysely<Tables> | undefined

  constructor(place: () => PostgresPlace, caPem: string | undefined) {
    this.#place = place
    this.#caPem = caPem
  }

  get place(): string {
    return this.#name
  }

  get db(): Kysely<Tables> {
    if (!this.#db) throw new Error('the database was not opened')
    return this.#db
  }

  get bulk(): Kysely<Tables> {
    return this.db
  }

  async open(): Promise<void> {
    this.#pool = this.#newPool({})
    this.#db = new Kysely({ dialect: new PostgresDialect({ pool: poolOf(this.#pool) }) })
    await sql`select 1`.execute(this.#db)
  }

  async migrate(work: (db: Kysely<Tables>, schema: string | undefined) => Promise<void>): Promise<void> {
    const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: poolOf(this.#newPool(PATIENT)) }) })
    try {
      const { rows } = await sql<{ schema: string | null }>`select current_schema() as schema`.execute(db)
      const schema = rows[0]?.schema
      if (!schema)
        throw new StoreError('lost', `the search_path at ${this.place} names no schema that is there: create it`)
      await work(db, schema)
    } finally {
      await db.destroy()
    }
  }

  revision(): Promise<number> {
    return this.#listener.revision()
  }

  onHint(listener: () => void): void {
    this.#listener.onHint(listener)
  }

  async announce(transaction: Transaction<Tables>): Promise<void> {
    await sql.raw(NOTIFY).execute(transaction)
  }

  /** One parameter, however many rows there are: the text of the statement is always the same. */
  async insertNew<Row extends object>(table: keyof Tables, { columns, rows }: NewRows<Row>): Promise<void> {
    const names = sql.join(Object.keys(columns).map((name) => sql.ref(name)))
    const typed = Object.entries<string>(columns).map(([name, type]) => sql`${sql.ref(name)} ${sql.raw(type)}`)
    const source = sql`json_to_recordset(${JSON.stringify(rows)}) as rows(${sql.join(typed)})`
    const insert = sql`insert into ${sql.table(table)} (${names}) select ${names} from ${source} on conflict do nothing`
    await insert.execute(this.bulk)
  }

  faultOf(error: unknown): DatabaseFault {
    return postgresFault(error, this.place)
  }

  async close(): Promise<void> {
    this.#listener.close()
    const ended = this.#db?.destroy().catch(() => undefined)
    const cut = setTimeout(() => this.#sockets.forEach((socket) => socket.destroy()), CLOSE_MS)
    await ended
    clearTimeout(cut)
    for (const socket of this.#sockets) socket.destroy()
  }

  #newPool(more: PoolConfig): Pool {
    const pool = new Pool({ ...this.#config(), ...more })
    // Of a client that is idle: the next one to be used is a new one.
    pool.on('error', () => undefined)
    // Of one between two queries, when the pool does not listen: the next query says so. Unheard, it would end the process.
    pool.on('connect', (client) => client.on('error', () => undefined))
    return pool
  }

  #config(): PoolConfig {
    const place = this.#place()
    const { host, port, database } = place
    this.#name = `${host}:${port}/${database}`
    // Asked for again at each connection: the file with the URL may have been rewritten.
    const password = () => this.#place().password()
    return clientConfig({ ...place, password }, { caPem: this.#caPem, sockets: this.#sockets })
  }
}
