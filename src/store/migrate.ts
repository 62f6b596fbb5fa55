import { type Kysely, sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import type { Database } from './database.ts'
import { whenFree } from './guarded.ts'
import { migrations } from './migrations.ts'
import type { Tables } from './tables.ts'

const TABLE = 'sallyport_migration'

/**
 * Brings the tables to where this program wants them; many may do so at once.
 * @throws Error in words, where the database is of a newer program
 */
export async function migrate(database: Database): Promise<void> {
  if (await isUpToDate(database)) return
  const run = async (db: Kysely<Tables>, schema: string | undefined) => {
    const migrator = new Migrator({
      db,
      provider: { getMigrations: async () => migrations },
      migrationTableName: TABLE,
      migrationLockTableName: `${TABLE}_lock`,
      // Kysely would take a table of this name in any schema for its own.
      ...(schema !== undefined && { migrationTableSchema: schema }),
    })
    const { error } = await migrator.migrateToLatest()
    if (error !== undefined) throw error
  }
  await whenFree(() => database.migrate(run), database)
}

async function isUpToDate({ db, place }: Database): Promise<boolean> {
  const done = await namesOf(db)
  const known = Object.keys(migrations)
  const newer = done.find((name) => !known.includes(name))
  if (newer !== undefined)
    throw new Error(`${place} was made by a newer Sallyport (${newer}): run that version, or restore an older backup`)
  return done.length === known.length
}

/** Nothing where there is no such table yet. */
async function namesOf(db: Kysely<Tables>): Promise<readonly string[]> {
  try {
    const { rows } = await sql<{ name: string }>`select name from ${sql.table(TABLE)}`.execute(db)
    return rows.map(({ name }) => name)
  } catch {
    return []
  }
}
