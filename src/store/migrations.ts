import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { Tables } from './tables.ts'

/**
 * How the tables came about, by name, in order. What has been released is never changed: a new one is added. Each runs
 * whole or not at all, on either kind of database.
 */
export const migrations: Readonly<Record<string, Migration>> = {
  '001-holdings': { up: holdings },
  '002-secrets': { up: secrets },
  '003-audit': { up: audit },
  '004-logins': { up: logins },
}

async function holdings(db: Kysely<Tables>): Promise<void> {
  const { schema } = db
  await schema
    .createTable('revision')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('value', 'bigint', (column) => column.notNull())
    .addColumn('kept_from', 'bigint', (column) => column.notNull())
    .execute()
  await db.insertInto('revision').values({ id: 1, value: 1, kept_from: 1 }).execute()
  await schema
    .createTable('changes')
    .addColumn('revision', 'bigint', (column) => column.notNull())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('key', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('changes_key', ['revision', 'kind', 'key'])
    .execute()
  await callers(db)
  await schema
    .createTable('grants')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('caller', 'text')
    .addColumn('group', 'text')
    .addColumn('connection', 'text', (column) => column.notNull())
    .addColumn('rules', 'text', (column) => column.notNull())
    .addColumn('until', 'bigint')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('created_by', 'text', (column) => column.notNull())
    .addCheckConstraint('grants_one_holder', sql`(caller is null) <> ("group" is null)`)
    .execute()
  await schema.createIndex('grants_by_caller').on('grants').column('caller').execute()
  await schema
    .createTable('switches')
    .addColumn('connection', 'text', (column) => column.primaryKey())
    .addColumn('disabled_at', 'bigint', (column) => column.notNull())
    .addColumn('disabled_by', 'text', (column) => column.notNull())
    .addColumn('reason', 'text')
    .execute()
}

async function callers({ schema }: Kysely<Tables>): Promise<void> {
  await schema
    .createTable('callers')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('created_by', 'text', (column) => column.notNull())
    .execute()
  await schema
    .createTable('caller_keys')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('caller', 'text', (column) => column.notNull().references('callers.name').onDelete('cascade'))
    .addColumn('digest', 'text', (column) => column.notNull().unique())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint')
    .execute()
  await schema.createIndex('caller_keys_by_caller').on('caller_keys').column('caller').execute()
}

async function secrets({ schema }: Kysely<Tables>): Promise<void> {
  await schema
    .createTable('secrets')
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('version', 'integer', (column) => column.notNull())
    .addColumn('sealed', 'text')
    .addColumn('key_id', 'text')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('created_by', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('secrets_key', ['name', 'version'])
    .execute()
}

/** Few indexes: each one is paid for with every request. What has none is found through time, or within a caller. */
async function audit({ schema }: Kysely<Tables>): Promise<void> {
  await schema
    .createTable('audit')
    .addColumn('instance', 'text', (column) => column.notNull())
    .addColumn('run', 'text', (column) => column.notNull())
    .addColumn('seq', 'bigint', (column) => column.notNull())
    .addColumn('hash', 'text', (column) => column.notNull())
    .addColumn('line', 'text', (column) => column.notNull())
    .addColumn('time', 'bigint', (column) => column.notNull())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('caller', 'text')
    .addColumn('connection', 'text')
    .addColumn('grant', 'text')
    .addColumn('host', 'text')
    .addColumn('code', 'text')
    .addColumn('fingerprint', 'text')
    .addColumn('secret', 'text')
    .addPrimaryKeyConstraint('audit_key', ['instance', 'run', 'seq'])
    .execute()
  await schema.createIndex('audit_by_time').on('audit').columns(['time', 'instance', 'run', 'seq']).execute()
  for (const column of ['caller', 'fingerprint', 'secret'] as const) {
    await schema
      .createIndex(`audit_by_${column}`)
      .on('audit')
      .columns([column, 'time'])
      .where(column, 'is not', null)
      .execute()
  }
}

async function logins({ schema }: Kysely<Tables>): Promise<void> {
  await schema
    .createTable('logins')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('connection', 'text', (column) => column.notNull())
    .addColumn('identity', 'text', (column) => column.notNull())
    .addColumn('version', 'integer', (column) => column.notNull())
    .addColumn('sealed', 'text')
    .addColumn('key_id', 'text')
    .addColumn('lease', 'text')
    .addColumn('lease_ms', 'integer', (column) => column.notNull())
    .addColumn('tries', 'integer', (column) => column.notNull())
    .addColumn('expires_at', 'bigint')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('created_by', 'text', (column) => column.notNull())
    .addUniqueConstraint('logins_one_each', ['connection', 'identity'])
    .execute()
}
