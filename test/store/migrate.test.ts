import { Migrator } from 'kysely/migration'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import type { Database } from '../../src/store/database.ts'
import { migrations } from '../../src/store/migrations.ts'
import { buildDatabase, storeSettings } from '../../src/store/registry.ts'
import { hasTool } from '../support/debian.ts'
import { open, type StorePlace, StorePlaces } from '../support/stores.ts'

const places = new StorePlaces()

afterAll(() => places.close())

describe.each(['sqlite', 'postgres'] as const)('tables in %s', (kind) => {
  const test_ = test.skipIf(kind === 'postgres' && !hasTool('postgresql'))
  let place: StorePlace

  beforeEach(async ({ task }) => {
    if (task.mode !== 'skip') place = await places.make(kind)
  })

  /** As an older program would have left it: with the first of the migrations alone. */
  async function makeOlder(): Promise<void> {
    const url = new Secret(place.secrets.get('URL') ?? '')
    const references = { secret: () => ({ current: () => ({ secret: url, version: 1 }) }), file: () => '' }
    const database: Database = await buildDatabase(storeSettings.parse(place.settings), {
      references,
      directory: place.directory,
    })
    await database.open()
    await database.migrate(async (db, schema) => {
      const migrator = new Migrator({
        db,
        provider: {
          getMigrations: async () => ({ '001-holdings': migrations['001-holdings'] ?? {} }) as typeof migrations,
        },
        migrationTableName: 'sallyport_migration',
        migrationLockTableName: 'sallyport_migration_lock',
        ...(schema !== undefined && { migrationTableSchema: schema }),
      })
      const { error } = await migrator.migrateToLatest()
      if (error !== undefined) throw error
    })
    await database.close()
  }

  test_('of an older program are brought up to date, and what is in them stays', async () => {
    await makeOlder()
    await places.run(place, "insert into switches values ('crm', 7, 'ops', null)")
    const names = async () => (await places.run(place, 'select name from sallyport_migration order by name')).length
    expect(await names()).toBe(1)
    const store = await open(place)
    expect(await names()).toBe(Object.keys(migrations).length)
    expect(store.holdings().switches).toEqual([{ connection: 'crm', at: 7, by: 'ops', reason: undefined }])
    await store.secrets.put('crm', new Secret('x'), 'ops')
  })

  test_('that are older are brought up to date once, by whichever of ten comes first', async () => {
    await makeOlder()
    const stores = await Promise.all(Array.from({ length: 10 }, () => open(place)))
    await stores[3]?.secrets.put('crm', new Secret('x'), 'ops')
    expect((await stores[7]?.secrets.open('crm'))?.version).toBe(1)
  })

  test_('of a newer program are refused, and not touched', async () => {
    await (await open(place)).close()
    await places.run(place, "insert into sallyport_migration values ('999-later', '2099-01-01')")
    await expect(open(place)).rejects.toThrow(
      /was made by a newer Sallyport \(999-later\): run that version, or restore an older backup/,
    )
  })

  test_('that cannot be brought up to date are left as they were', async () => {
    await makeOlder()
    // The third fails, after the second has been done.
    await places.run(place, 'create table audit (mine integer)')
    await expect(open(place)).rejects.toThrow()
    expect(await places.run(place, 'select name from sallyport_migration')).toHaveLength(1)
    await expect(places.run(place, 'select * from secrets')).rejects.toThrow()
    await places.run(place, 'drop table audit')
    await open(place)
  })
})
