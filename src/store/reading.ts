import type { Kysely } from 'kysely'
import type { StoredCaller, StoredGrant, StoredLogin, StoredSwitch } from '../core/holdings.ts'
import { callersOf, grantsOf, loginsOf, switchesOf } from './rows.ts'
import type { Tables, Touched } from './tables.ts'

/** What is kept under a key now; undefined: nothing any more. */
type Now<T> = readonly (readonly [string, T | undefined])[]

/** What has become different between two revisions, or all there is. */
export interface Delta {
  /** What was known when the reading began. */
  readonly since: number
  readonly revision: number
  /** Whatever is not in here is not there. */
  readonly isWhole: boolean
  readonly callers: Now<StoredCaller>
  readonly grants: Now<StoredGrant>
  readonly switches: Now<StoredSwitch>
  readonly logins: Now<StoredLogin>
  /** Names alone. */
  readonly secrets: readonly string[]
}

/**
 * Reads what was changed after a revision; everything, where that revision is not of this database or too old. The
 * transaction must see one state: a snapshot, or one that has locked the revision.
 */
export async function readSince(since: number, db: Kysely<Tables>): Promise<Delta> {
  const { value: revision, kept_from } = await db
    .selectFrom('revision')
    .select(['value', 'kept_from'])
    .executeTakeFirstOrThrow()
  if (since < kept_from || since > revision) return readAll({ since, revision }, db)
  const changes = await db.selectFrom('changes').select(['kind', 'key']).where('revision', '>', since).execute()
  const keys = (kind: Touched) => [...new Set(changes.filter((one) => one.kind === kind).map(({ key }) => key))]
  return {
    since,
    revision,
    isWhole: false,
    callers: now(keys('caller'), await callersOf(keys('caller'), db)),
    grants: now(keys('grant'), await grantsOf(keys('grant'), db)),
    switches: now(keys('switch'), await switchesOf(keys('switch'), db)),
    logins: now(keys('login'), await loginsOf(keys('login'), db)),
    secrets: keys('secret'),
  }
}

async function readAll(at: { since: number; revision: number }, db: Kysely<Tables>): Promise<Delta> {
  const secrets = await db.selectFrom('secrets').select('name').distinct().execute()
  return {
    ...at,
    isWhole: true,
    callers: [...(await callersOf(undefined, db))],
    grants: [...(await grantsOf(undefined, db))],
    switches: [...(await switchesOf(undefined, db))],
    logins: [...(await loginsOf(undefined, db))],
    secrets: secrets.map(({ name }) => name),
  }
}

function now<T>(keys: readonly string[], found: ReadonlyMap<string, T>): Now<T> {
  return keys.map((key) => [key, found.get(key)] as const)
}
