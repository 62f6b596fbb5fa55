import { type Expression, type ExpressionBuilder, type Selectable, type SqlBool, sql } from 'kysely'
import { accessProblems } from '../core/problems-of-access.ts'
import { cursorOf, placeOfCursor } from './audit-cursor.ts'
import type { AuditFilter, AuditLine, AuditPage, AuditRows, AuditSpot, Usage } from './audit-rows.ts'
import type { Database } from './database.ts'
import { guarded } from './guarded.ts'
import type { AuditRow, Tables } from './tables.ts'

const COLUMNS = {
  instance: 'text',
  run: 'text',
  seq: 'bigint',
  hash: 'text',
  line: 'text',
  time: 'bigint',
  kind: 'text',
  caller: 'text',
  connection: 'text',
  grant: 'text',
  host: 'text',
  code: 'text',
  fingerprint: 'text',
  secret: 'text',
} as const satisfies Readonly<Record<keyof AuditRow, 'text' | 'bigint'>>

const EXACT = ['kind', 'caller', 'connection', 'grant', 'host', 'code', 'fingerprint', 'secret', 'instance'] as const
const PAGE = 100
const LONGEST_PAGE = 1000

/** The audit in a table. */
export class SqlAudit implements AuditRows {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async insert(lines: readonly AuditLine[]): Promise<void> {
    if (lines.length === 0) return
    const rows = { columns: COLUMNS, rows: lines.map(rowOf) }
    await guarded(() => this.#database.insertNew('audit', rows), this.#database)
  }

  async find(filter: AuditFilter): Promise<AuditPage> {
    const limit = Math.min(Math.max(1, filter.limit ?? PAGE), LONGEST_PAGE)
    const rows = await guarded(() => this.#select(filter, limit), this.#database)
    const last = rows.length > limit ? rows[limit - 1] : undefined
    return { lines: rows.slice(0, limit).map(lineOf), cursor: last && cursorOf(last) }
  }

  /** One more than was asked for, by which the end is told. */
  #select(filter: AuditFilter, limit: number): Promise<Selectable<Tables['audit']>[]> {
    const direction = filter.order === 'oldest' ? 'asc' : 'desc'
    return this.#database.bulk
      .selectFrom('audit')
      .selectAll()
      .where((builder) => builder.and(conditionsOf(filter, builder)))
      .orderBy('time', direction)
      .orderBy('instance', direction)
      .orderBy('run', direction)
      .orderBy('seq', direction)
      .limit(limit + 1)
      .execute()
  }

  async latest(instance: string): Promise<Pick<AuditLine, 'run' | 'seq' | 'hash'> | undefined> {
    const newest = this.#database.bulk
      .selectFrom('audit')
      .select(['run', 'seq', 'hash'])
      .where('instance', '=', instance)
      // Runs are named by when they began. The time of an ask is when it came, and it may end after later ones.
      .orderBy('run', 'desc')
      .orderBy('seq', 'desc')
      .limit(1)
    return guarded(() => newest.executeTakeFirst(), this.#database)
  }

  async walk(after: AuditSpot | undefined, limit: number): Promise<readonly AuditLine[]> {
    const { instance, run, seq } = after ?? { instance: '', run: '', seq: 0 }
    const rows = this.#database.bulk
      .selectFrom('audit')
      .selectAll()
      .where(sql<SqlBool>`("instance", "run", "seq") > (${instance}, ${run}, ${seq})`)
      .orderBy('instance')
      .orderBy('run')
      .orderBy('seq')
      .limit(Math.min(limit, LONGEST_PAGE))
    return (await guarded(() => rows.execute(), this.#database)).map(lineOf)
  }

  async usage(since: number): Promise<readonly Usage[]> {
    const rows = await guarded(() => this.#usage(since), this.#database)
    return rows.map(({ caller, connection, grant, count, last_at }) => ({
      // The query leaves out those that have none.
      caller: caller as string,
      connection: connection as string,
      grant: grant ?? undefined,
      count: Number(count),
      lastAt: last_at,
    }))
  }

  #usage(since: number) {
    return this.#database.bulk
      .selectFrom('audit')
      .select(({ fn }) => ['caller', 'connection', 'grant', fn.countAll().as('count'), fn.max('time').as('last_at')])
      .where('kind', '=', 'ask')
      .where('time', '>=', since)
      .where('caller', 'is not', null)
      .where('connection', 'is not', null)
      .where(({ eb, or }) => or([eb('code', 'is', null), eb('code', 'not in', REFUSED)]))
      .groupBy(['caller', 'connection', 'grant'])
      .execute()
  }
}

/** Codes that a permitted ask cannot end with. What was cut had been permitted. */
const REFUSED = Object.keys(accessProblems).filter((code) => code !== 'access-revoked')

type Condition = Expression<SqlBool>

function conditionsOf(filter: AuditFilter, builder: ExpressionBuilder<Tables, 'audit'>): readonly Condition[] {
  const conditions: Condition[] = EXACT.flatMap((name) => {
    const wanted = filter[name]
    return wanted === undefined ? [] : [builder(name, '=', wanted)]
  })
  if (filter.since !== undefined) conditions.push(builder('time', '>=', filter.since))
  if (filter.until !== undefined) conditions.push(builder('time', '<', filter.until))
  if (filter.cursor !== undefined) conditions.push(beyond(filter.cursor, filter.order === 'oldest' ? '>' : '<'))
  return conditions
}

function beyond(cursor: string, comparison: '<' | '>'): Condition {
  const { time, instance, run, seq } = placeOfCursor(cursor)
  return sql`("time", "instance", "run", "seq") ${sql.raw(comparison)} (${time}, ${instance}, ${run}, ${seq})`
}

function rowOf({ line, instance, run, seq, hash, keys }: AuditLine): AuditRow {
  const { time, kind, caller, connection, grant, host, code, fingerprint, secret } = keys
  return {
    instance,
    run,
    seq,
    hash,
    line,
    time,
    kind,
    caller: caller ?? null,
    connection: connection ?? null,
    grant: grant ?? null,
    host: host ?? null,
    code: code ?? null,
    fingerprint: fingerprint ?? null,
    secret: secret ?? null,
  }
}

function lineOf({ line, instance, run, seq, hash, ...keys }: Selectable<Tables['audit']>): AuditLine {
  return {
    line,
    instance,
    run,
    seq,
    hash,
    keys: {
      time: keys.time,
      kind: keys.kind,
      caller: keys.caller ?? undefined,
      connection: keys.connection ?? undefined,
      grant: keys.grant ?? undefined,
      host: keys.host ?? undefined,
      code: keys.code ?? undefined,
      fingerprint: keys.fingerprint ?? undefined,
      secret: keys.secret ?? undefined,
    },
  }
}
