import type { Socket } from 'node:net'
import { Kysely, PostgresDialect, type RawBuilder, sql, type Transaction } from 'kysely'
import type pg from 'pg'
import type { Kind } from '../forms/kind.ts'
import { tlsTrust } from '../forms/network.ts'
import { z } from '../forms/zod.ts'
import { secretReference } from '../secrets/registry.ts'
import { commonSettings } from './common.ts'
import type { Database, DatabaseFault, DatabaseTools } from './database.ts'
import { clientConfig, type Pg, poolOf } from './postgres-client.ts'
import { postgresFault } from './postgres-fault.ts'
import { Listener, NOTIFY } from './postgres-listener.ts'
import { type PostgresPlace, placeOf } from './postgres-url.ts'
import { StoreError } from './store.ts'
import type { Tables } from './tables.ts'

const schema = z
  .strictObject({
    kind: z.literal('postgres'),
    url: secretReference.meta({
      description:
        'the connection URL, password included, by reference: `postgres://USER:PASSWORD@HOST/DATABASE`; tables are in the first schema of the user’s search_path',
    }),
    tls: tlsTrust.meta({ description: 'whom to trust as the server' }),
    unsafeAllowPlaintextDatabase: z.boolean().default(false).meta({
      description: 'obeys `sslmode=disable` for a server that is not this machine: whoever is on the way could grant',
    }),
    ...commonSettings,
  })
  .meta({ description: 'PostgreSQL, which many instances share: what is changed at one is obeyed by all' })

/** PostgreSQL 13 or later, by `pg`, which is loaded only where settings ask for it. */
export const postgres: Kind<typeof schema, DatabaseTools, Database> = {
  schema,
  build(settings, { references }) {
    const url = references.secret(settings.url)
    const { ca } = settings.tls
    const caPem = ca && references.file(ca)
    const current = () => placeOf(url.current().secret.reveal(), settings.unsafeAllowPlaintextDatabase)
    return new PostgresServer(current, caPem)
  },
}

const CLOSE_MS = 1_000
/** A migration may wait for another instance, and take its time over a large table. */
const PATIENT = { statement_timeout: 0, query_timeout: 0, max: 1 }

class PostgresServer implements Database {
  readonly #place: () => PostgresPlace
  readonly #caPem: string | undefined
  readonly #sockets = new Set<Socket>()
  readonly #listener = new Listener(() => new (this.#loaded().Client)(this.#config()))
  #name = 'its URL'
  #pg: Pg | undefined
  #pool: pg.Pool | undefined
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
    this.#pg = (await import('pg')).default
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

  rowsOf(json: string, columns: Readonly<Record<string, 'text' | 'bigint'>>): RawBuilder<unknown> {
    const fields = Object.entries(columns).map(([name, type]) => sql`${sql.ref(name)} ${sql.raw(type)}`)
    return sql`json_to_recordset(${json}) as rows(${sql.join(fields)})`
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

  #newPool(more: pg.PoolConfig): pg.Pool {
    const pool = new (this.#loaded().Pool)({ ...this.#config(), ...more })
    // Of a client that is idle: the next one to be used is a new one.
    pool.on('error', () => undefined)
    return pool
  }

  #config(): pg.PoolConfig {
    const place = this.#place()
    const { host, port, database } = place
    this.#name = `${host}:${port}/${database}`
    // Asked for again at each connection: the file with the URL may have been rewritten.
    const password = () => this.#place().password()
    return clientConfig({ ...place, password }, { pg: this.#loaded(), caPem: this.#caPem, sockets: this.#sockets })
  }

  #loaded(): Pg {
    if (!this.#pg) throw new Error('the database was not opened')
    return this.#pg
  }
}
