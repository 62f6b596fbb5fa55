import type { Kind } from '../forms/kind.ts'
import { z } from '../forms/zod.ts'
import { commonSettings } from './common.ts'
import type { Database, DatabaseTools } from './database.ts'

const schema = z
  .strictObject({
    kind: z.literal('sqlite'),
    path: z.string().min(1).meta({
      description:
        'file of the database; made, and closed to other users, when it is not there; on a local disk, in a directory that is closed to other users',
    }),
    ...commonSettings,
  })
  .meta({ description: 'one file; several processes of one machine may share it' })

/** SQLite in one file, by Node's own library. */
export const sqlite: Kind<typeof schema, DatabaseTools, Promise<Database>> = {
  schema,
  async build({ path }, { directory }) {
    const { SqliteFile } = await import('./sqlite-database.ts')
    return new SqliteFile(path, directory)
  },
}
