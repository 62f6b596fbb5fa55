import { buildKind, kindUnion } from '../forms/kind.ts'
import type { z } from '../forms/zod.ts'
import type { Database, DatabaseTools } from './database.ts'
import { postgres } from './postgres.ts'
import { sqlite } from './sqlite.ts'

/** Every kind of database. */
export const storeKinds = { sqlite, postgres }

/** Settings of the store. */
export const storeSettings = kindUnion(storeKinds, 'Store')
export type StoreSettings = z.infer<typeof storeSettings>

/** Builds what the settings describe. Does no I/O. */
export function buildDatabase(settings: StoreSettings, tools: DatabaseTools): Database {
  return buildKind<DatabaseTools, Database>(storeKinds, settings, tools)
}
