import { buildKind, kindUnion } from '../forms/kind.ts'
import type { z } from '../forms/zod.ts'
import type { Database, DatabaseTools } from './database.ts'
import { postgres } from './postgres.ts'
import { sqlite } from './sqlite.ts'

/** Every kind of database. What speaks to one is loaded when the settings ask for it: 30 MB, a tenth of a second. */
export const storeKinds = { sqlite, postgres }

/** Settings of the store. */
export const storeSettings = kindUnion(storeKinds, 'Store')
export type StoreSettings = z.infer<typeof storeSettings>

/** Builds what the settings describe, and loads what that needs; connects to nothing. @throws StoreError in words */
export function buildDatabase(settings: StoreSettings, tools: DatabaseTools): Promise<Database> {
  return buildKind<DatabaseTools, Promise<Database>>(storeKinds, settings, tools)
}
