import type { Kysely, Selectable } from 'kysely'
import type { Holder } from '../core/grants.ts'
import type { StoredCaller, StoredGrant, StoredKey, StoredSwitch } from '../core/holdings.ts'
import type { Rule } from '../core/rule.ts'
import type { GrantRow, Tables } from './tables.ts'

type Row<K extends keyof Tables> = Selectable<Tables[K]>

/** Those of the names, or all of them, with their keys. */
export async function callersOf(
  names: readonly string[] | undefined,
  db: Kysely<Tables>,
): Promise<Map<string, StoredCaller>> {
  if (names?.length === 0) return new Map()
  let callers = db.selectFrom('callers').selectAll().orderBy('name')
  let keys = db.selectFrom('caller_keys').selectAll().orderBy('id')
  if (names) {
    callers = callers.where('name', 'in', names)
    keys = keys.where('caller', 'in', names)
  }
  const byCaller = Map.groupBy(await keys.execute(), ({ caller }) => caller)
  return new Map((await callers.execute()).map((row) => [row.name, callerOf(row, byCaller.get(row.name) ?? [])]))
}

/** Those of the ids, or all of them; the oldest first. */
export async function grantsOf(
  ids: readonly string[] | undefined,
  db: Kysely<Tables>,
): Promise<Map<string, StoredGrant>> {
  if (ids?.length === 0) return new Map()
  const all = db.selectFrom('grants').selectAll().orderBy('id')
  const rows = await (ids ? all.where('id', 'in', ids) : all).execute()
  return new Map(rows.map((row) => [row.id, grantOf(row)]))
}

/** Those of the connections, or all of them. */
export async function switchesOf(
  names: readonly string[] | undefined,
  db: Kysely<Tables>,
): Promise<Map<string, StoredSwitch>> {
  if (names?.length === 0) return new Map()
  const all = db.selectFrom('switches').selectAll().orderBy('connection')
  const rows = await (names ? all.where('connection', 'in', names) : all).execute()
  return new Map(rows.map((row) => [row.connection, switchOf(row)]))
}

function callerOf(row: Row<'callers'>, keys: readonly Row<'caller_keys'>[]): StoredCaller {
  return Object.freeze({
    name: row.name,
    createdAt: row.created_at,
    createdBy: row.created_by,
    keys: Object.freeze(keys.map(keyOf)),
  })
}

function keyOf({ id, digest, created_at, expires_at }: Row<'caller_keys'>): StoredKey {
  return Object.freeze({ id, digest, createdAt: created_at, expiresAt: expires_at ?? undefined })
}

function grantOf(row: GrantRow): StoredGrant {
  // Written by `grantRowOf` below, and by nobody else.
  const rules = JSON.parse(row.rules) as Rule[]
  return Object.freeze({
    id: row.id,
    holder: holderOf(row),
    connection: row.connection,
    rules: Object.freeze(rules.map(frozenRule)),
    until: row.until ?? undefined,
    createdAt: row.created_at,
    createdBy: row.created_by,
  })
}

function holderOf({ caller, group }: GrantRow): Holder {
  // The table has one of them, never both.
  return Object.freeze(caller === null ? { group: group as string } : { caller })
}

function frozenRule({ methods, paths }: Rule): Rule {
  return Object.freeze({
    ...(methods && { methods: Object.freeze(methods) }),
    ...(paths && { paths: Object.freeze(paths) }),
  })
}

/** The row as others see it. */
export function switchOf(row: Row<'switches'>): StoredSwitch {
  const { connection, disabled_at, disabled_by, reason } = row
  return Object.freeze({ connection, at: disabled_at, by: disabled_by, reason: reason ?? undefined })
}

/** A grant as it is inserted. */
export function grantRowOf({ id, holder, connection, rules, until, createdAt, createdBy }: StoredGrant): GrantRow {
  return {
    id,
    caller: holder.caller ?? null,
    group: holder.group ?? null,
    connection,
    rules: JSON.stringify(rules.map(({ methods, paths }) => ({ methods, paths }))),
    until: until ?? null,
    created_at: createdAt,
    created_by: createdBy,
  }
}

/** A key as it is inserted. */
export function keyRowOf(caller: string, { id, digest, createdAt, expiresAt }: StoredKey): Row<'caller_keys'> {
  return { id, caller, digest, created_at: createdAt, expires_at: expiresAt ?? null }
}
