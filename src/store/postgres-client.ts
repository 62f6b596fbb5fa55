import { Socket } from 'node:net'
import { type ConnectionOptions, checkServerIdentity } from 'node:tls'
import type { PostgresPool, PostgresPoolClient } from 'kysely'
import type pg from 'pg'
import { trustOf } from '../wire/trust.ts'
import type { PostgresPlace } from './postgres-url.ts'

export type Pg = typeof pg

/** ms. A link that drops everything tells nobody: each wait has an end of its own. */
const CONNECT_MS = 3_000
const STATEMENT_MS = 10_000
/** Longer than the server's own, which says so in words. */
const ANSWER_MS = 12_000
/** Whoever has locked the revision and is gone must not hold up the others. */
const IDLE_IN_TRANSACTION_MS = 5_000
const MAX_CLIENTS = 4

/** `caPem`: whom to trust instead of the public authorities. `sockets`: what to cut at the end. */
export interface ClientTerms {
  readonly pg: Pg
  readonly caPem: string | undefined
  readonly sockets: Set<Socket>
}

/** What a client is opened with. Nothing is taken from the environment or from a password file. */
export function clientConfig(place: PostgresPlace, { pg, caPem, sockets }: ClientTerms): pg.PoolConfig {
  const { host, port, database, user, options } = place
  return {
    host,
    port,
    database,
    user,
    // A function is asked at each connection, and what it says is not kept.
    password: () => place.password(),
    ssl: place.isEncrypted ? tlsOf(host, caPem) : false,
    ...(options !== undefined && { options }),
    application_name: 'sallyport',
    connectionTimeoutMillis: CONNECT_MS,
    statement_timeout: STATEMENT_MS,
    query_timeout: ANSWER_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    keepAlive: true,
    max: MAX_CLIENTS,
    allowExitOnIdle: true,
    types: typesOf(pg),
    stream: () => tracked(sockets),
  }
}

function tlsOf(host: string, caPem: string | undefined): ConnectionOptions {
  return {
    secureContext: trustOf(caPem),
    rejectUnauthorized: true,
    // pg tells TLS no host where it is an address, and Node would then compare with "localhost".
    checkServerIdentity: (_asked, certificate) => checkServerIdentity(host, certificate),
  }
}

function tracked(sockets: Set<Socket>): Socket {
  const socket = new Socket()
  sockets.add(socket)
  return socket.once('close', () => sockets.delete(socket))
}

const INT8 = 20

/** Whole numbers of ours are times and counts, far below 2^53; pg gives them as text, because others are not. */
function typesOf({ types }: Pg): pg.CustomTypesConfig {
  // pg's own type has an overload for each format.
  const getTypeParser = (oid: number, format: 'text') => (oid === INT8 ? Number : types.getTypeParser(oid, format))
  return { getTypeParser } as pg.CustomTypesConfig
}

/** A pool for Kysely, whose clients are thrown away once they have failed at anything but an answer of the server. */
export function poolOf(pool: pg.Pool): PostgresPool {
  return {
    options: pool.options,
    connect: async () => guarded(await pool.connect()),
    end: () => pool.end(),
  }
}

function guarded(client: pg.PoolClient): PostgresPoolClient {
  let broken: unknown
  const query = async (text: string, values: unknown[]) => {
    // The rollback after a lost answer would wait as long again.
    if (broken !== undefined) throw broken
    try {
      return await client.query(text, values)
    } catch (error) {
      if (!isAnswer(error)) broken = error
      throw error
    }
  }
  // Kysely's type also has a form with a cursor, for streams; nothing here streams.
  return { query, release: () => client.release(broken !== undefined) } as unknown as PostgresPoolClient
}

/** Whether the server said so, and goes on listening. */
function isAnswer(error: unknown): boolean {
  return error instanceof Error && 'severity' in error && error.severity === 'ERROR'
}
