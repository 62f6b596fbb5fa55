import type { Kysely, Selectable } from 'kysely'
import type { Holder } from '../core/grants.ts'
import {
  type StoredCaller,
  type StoredGrant,
  type StoredKey,
  type StoredLogin,
  type StoredSwitch,
  UNREADABLE,
} from '../core/holdings.ts'
import { faultOfPath, type Rule } from '../core/rule.ts'
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

/** All that a caller holds by its name; the oldest first. */
export async function grantsTo(caller: string, db: Kysely<Tables>): Promise<readonly StoredGrant[]> {
  const rows = await db.selectFrom('grants').selectAll().where('caller', '=', caller).orderBy('id').execute()
  return rows.map(grantOf)
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

/** Those of the ids, or all of them; the oldest first. */
export async function loginsOf(
  ids: readonly string[] | undefined,
  db: Kysely<Tables>,
): Promise<Map<string, StoredLogin>> {
  if (ids?.length === 0) return new Map()
  const all = db.selectFrom('logins').selectAll().orderBy('id')
  const rows = await (ids ? all.where('id', 'in', ids) : all).execute()
  return new Map(rows.map((row) => [row.id, loginOf(row)]))
}

/** The row as others see it, without what is sealed in it. */
export function loginOf(row: Row<'logins'>): StoredLogin {
  return Object.freeze({
    id: row.id,
    connection: row.connection,
    identity: row.identity,
    isAlive: row.sealed !== null,
    expiresAt: row.expires_at ?? undefined,
    createdAt: row.created_at,
    createdBy: row.created_by,
  })
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
  return Object.freeze({
    id: row.id,
    holder: holderOf(row),
    connection: row.connection,
    rules: rulesIn(row.rules),
    until: row.until ?? undefined,
    createdAt: row.created_at,
    createdBy: row.created_by,
  })
}

function holderOf({ caller, group }: GrantRow): Holder {
  // The table has one of them, never both.
  return Object.freeze(caller === null ? { group: group as string } : { caller })
}

/** Whatever `grantRowOf` below does not write is not read either: passing over it could let through more than was granted. */
function rulesIn(text: string): readonly Rule[] {
  try {
    const rules: unknown = JSON.parse(text)
    return Array.isArray(rules) && rules.every(isRule) ? Object.freeze(rules.map(frozenRule)) : UNREADABLE
  } catch {
    return UNREADABLE
  }
}

function isRule(value: unknown): value is Rule {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.entries(value).every(
    ([key, list]) =>
      Object.hasOwn(FITS, key) && Array.isArray(list) && list.length > 0 && list.every(FITS[key as Part]),
  )
}

type Part = keyof typeof FITS

/** What may stand in each part of a rule. */
const FITS = {
  methods: (value: unknown) => typeof value === 'string',
  paths: (value: unknown) => typeof value === 'string' && faultOfPath(value) === undefined,
} as const

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
