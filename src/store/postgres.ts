import type { Kind } from '../forms/kind.ts'
import { tlsTrust } from '../forms/network.ts'
import { z } from '../forms/zod.ts'
import { secretReference } from '../secrets/registry.ts'
import { commonSettings } from './common.ts'
import type { Database, DatabaseTools } from './database.ts'
import { placeOf } from './postgres-url.ts'

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

/** PostgreSQL 13 or later, by `pg`. */
export const postgres: Kind<typeof schema, DatabaseTools, Promise<Database>> = {
  schema,
  async build(settings, { references }) {
    const url = references.secret(settings.url)
    const { ca } = settings.tls
    const caPem = ca && references.file(ca)
    const { PostgresServer } = await import('./postgres-database.ts')
    const current = () => placeOf(url.current().secret.reveal(), settings.unsafeAllowPlaintextDatabase)
    return new PostgresServer(current, caPem)
  },
}
