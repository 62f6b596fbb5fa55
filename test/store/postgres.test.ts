import { inspect } from 'node:util'
import { afterAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { makeAuthority } from '../support/certificates.ts'
import { hasTool } from '../support/debian.ts'
import { startPartition } from '../support/partition.ts'
import { startPostgres } from '../support/postgres.ts'
import { open, type StorePlace, StorePlaces, until } from '../support/stores.ts'

const places = new StorePlaces()

afterAll(() => places.close())

function grant(connection: string) {
  return { holder: { caller: 'app' }, connection, rules: [], until: undefined, createdBy: 'ops' }
}

function changeUrl({ secrets }: StorePlace, change: (url: URL) => void): void {
  const url = new URL(secrets.get('URL') ?? '')
  change(url)
  secrets.set('URL', url.href)
}

describe.skipIf(!hasTool('postgresql'))('a store in PostgreSQL', () => {
  let place: StorePlace

  beforeEach(async () => {
    place = await places.make('postgres')
  })

  test('is told of a change at once, long before it would look', async () => {
    const settings = { pollMs: 60_000 }
    const store = await open(place, { settings })
    const other = await open(place, { settings })
    const took: number[] = []
    for (let round = 0; round < 5; round++) {
      const before = performance.now()
      await store.addGrant(grant(`c${round}`))
      await until(() => other.holdings().grants.length === round + 1)
      took.push(performance.now() - before)
    }
    // Of the minute between two looks.
    expect(Math.max(...took)).toBeLessThan(5_000)
  })

  test('that is not told looks for itself', async () => {
    const store = await open(place)
    const { id } = await store.addGrant(grant('crm'))
    // One message, and so one transaction.
    const steps = [
      `delete from grants where id = '${id}'`,
      'update revision set value = value + 1',
      `insert into changes select value, 'grant', '${id}' from revision`,
    ]
    await places.run(place, steps.join('; '))
    await until(() => store.holdings().grants.length === 0)
  })

  test('whose listening connection is ended by the server listens again', async () => {
    const store = await open(place)
    const other = await open(place, { settings: { pollMs: 60_000 } })
    const ended = await places.run(
      place,
      "select pg_terminate_backend(pid) from pg_stat_activity where query like 'listen%' or query like '%from revision'",
    )
    expect(ended.length).toBeGreaterThanOrEqual(2)
    await until(() => store.state().phase === 'confirmed')
    await store.addGrant(grant('crm'))
    await until(() => other.holdings().grants.length === 1)
  })

  test('in two schemas of one database are two stores', async () => {
    await places.run(place, 'create schema one; create schema two')
    const inSchema = (name: string): StorePlace => {
      const there = { ...place, secrets: new Map(place.secrets) }
      changeUrl(there, (url) => url.searchParams.set('options', `-c search_path=${name}`))
      return there
    }
    const one = await open(inSchema('one'))
    const two = await open(inSchema('two'))
    await one.addGrant(grant('crm'))
    await two.disable('crm', 'ops', undefined)
    expect([one.holdings().switches, two.holdings().grants]).toEqual([[], []])
    expect(await places.run(place, "select 1 from pg_tables where schemaname = 'public'")).toEqual([])
  })

  test('goes on with the password that the reference gives now', async () => {
    const store = await open(place, { onFault: () => undefined })
    const { username } = new URL(place.secrets.get('URL') ?? '')
    await places.run(place, `create role rotated superuser login password 'before'`)
    expect(username).toBe('sallyport')
    changeUrl(place, (url) => Object.assign(url, { username: 'rotated', password: 'before' }))
    const rotated = await open(place, { onFault: () => undefined })
    await store.addGrant(grant('crm'))
    await until(() => rotated.holdings().grants.length === 1)
    const admin = { ...place, secrets: new Map([['URL', await (await places.postgres()).createDatabase()]]) }
    await places.run(admin, `alter role rotated password 'after'`)
    await places.run(admin, "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'rotated'")
    changeUrl(place, (url) => (url.password = 'after'))
    await store.addGrant(grant('maps'))
    await until(() => rotated.holdings().grants.length === 2)
    await rotated.addGrant(grant('more'))
  })

  test.for<[string, (url: URL) => void, RegExp]>([
    ['password', (url) => (url.password = 'wrong-canary'), /refuses the user or the password: mend the URL/],
    ['database', (url) => (url.pathname = '/nowhere'), /has no such database: create it/],
    ['port', (url) => (url.port = '1'), /refuses the connection: start it/],
    ['host', (url) => (url.host = 'nowhere.invalid'), /has a name that does not resolve/],
    ['mode', (url) => url.searchParams.set('sslmode', 'verify-full'), /does not speak TLS: set "ssl = on" there/],
    [
      'schema',
      (url) => url.searchParams.set('options', '-c search_path=nowhere'),
      /names no schema that is there: create it/,
    ],
  ])('says what is wrong with the %s, and nothing of the password', async ([, change, words]) => {
    changeUrl(place, change)
    const error: unknown = await open(place).catch((caught: unknown) => caught)
    expect(String(error)).toMatch(words)
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/canary|[0-9a-f]{24}/)
  })

  test('takes nothing from the environment', async () => {
    const poison = { PGPASSWORD: 'canary', PGHOST: '192.0.2.1', PGPORT: '1', PGSSLMODE: 'no-verify', PGUSER: 'nobody' }
    Object.assign(process.env, poison)
    onTestFinished(() => Object.keys(poison).forEach((name) => delete process.env[name]))
    await (await open(place)).addGrant(grant('crm'))
    changeUrl(place, (url) => (url.password = ''))
    await expect(open(place)).rejects.toThrow(/the PostgreSQL at 127\.0\.0\.1:\d+\/test\d+ /)
  })

  test('that is cut off, with nobody told, keeps what it knows, counts as lost, and catches up when healed', async () => {
    const server = await places.postgres()
    const way = await startPartition(server.port)
    onTestFinished(() => way.close())
    const far = { ...place, secrets: new Map(place.secrets) }
    changeUrl(far, (url) => (url.port = String(way.port)))
    const faults: string[] = []
    const cut = await open(far, { onFault: (message) => faults.push(message) })
    const store = await open(place)
    const { id } = await store.addGrant(grant('crm'))
    await until(() => cut.holdings().grants.length === 1)
    way.cut()
    await store.removeGrants([id])
    await until(() => cut.state().phase === 'lost')
    const confirmedAt = cut.confirmedAt()
    const change = cut.addGrant(grant('maps'))
    await expect(change).rejects.toMatchObject({ code: 'lost' })
    expect([cut.holdings().grants.length, cut.confirmedAt()]).toEqual([1, confirmedAt])
    expect(faults).toEqual([expect.stringMatching(/does not answer/)])
    way.heal()
    await until(() => cut.holdings().grants.length === 0)
    await until(() => cut.state().phase === 'confirmed')
    await cut.addGrant(grant('maps'))
  })

  test('closes in time although the server is cut off', async () => {
    const way = await startPartition((await places.postgres()).port)
    onTestFinished(() => way.close())
    changeUrl(place, (url) => (url.port = String(way.port)))
    const store = await open(place, { onFault: () => undefined })
    way.cut()
    const before = performance.now()
    await store.close()
    expect(performance.now() - before).toBeLessThan(10_000)
  })
})

describe.skipIf(!hasTool('postgresql'))('a PostgreSQL of its own', () => {
  test('is restarted under ten instances in use: no acknowledged change is lost, and all agree', async () => {
    const server = await startPostgres({ isDurable: true })
    onTestFinished(() => server.remove())
    const place: StorePlace = {
      ...(await places.make('sqlite')),
      secrets: new Map([['URL', await server.createDatabase()]]),
      settings: { kind: 'postgres', url: { env: 'URL' }, key: undefined },
    }
    const wish = { onFault: () => undefined }
    const stores = await Promise.all(Array.from({ length: 10 }, () => open(place, wish)))
    const acknowledged: string[] = []
    const over = new AbortController()
    const working = stores.map(async (store) => {
      while (!over.signal.aborted) {
        await store.addGrant(grant('crm')).then(
          ({ id }) => acknowledged.push(id),
          () => new Promise((resolve) => setTimeout(resolve, 20)),
        )
      }
    })
    for (const how of ['fast', 'crash'] as const) {
      const before = acknowledged.length
      await until(() => acknowledged.length > before + 50)
      await server.stop(how)
      await until(() => stores.every((store) => store.state().phase === 'lost'))
      await server.start()
      await until(() => stores.every((store) => store.state().phase === 'confirmed'))
    }
    over.abort()
    await Promise.all(working)
    await until(() => new Set(stores.map((store) => store.holdings().revision)).size === 1)
    const [first] = stores
    const there = new Set(first?.holdings().grants.map(({ id }) => id))
    expect(acknowledged.filter((id) => !there.has(id))).toEqual([])
    for (const store of stores) expect(new Set(store.holdings().grants.map(({ id }) => id))).toEqual(there)
    await first?.removeGrants([acknowledged[0] ?? ''])
    await until(() => stores.every((store) => store.holdings().grants.length === there.size - 1))
  })

  test('is believed only when it proves its name', async () => {
    const authority = await makeAuthority()
    const { cert, key } = await authority.issue(['localhost'])
    const server = await startPostgres({ tls: { cert, key } })
    onTestFinished(() => server.remove())
    const place: StorePlace = {
      ...(await places.make('sqlite')),
      secrets: new Map([['URL', await server.createDatabase()]]),
      settings: { kind: 'postgres', url: { env: 'URL' }, key: undefined, tls: { ca: { file: 'ca.pem' } } },
    }
    changeUrl(place, (url) => url.searchParams.set('sslmode', 'require'))
    const ca = authority.certPem
    await expect(open(place, { ca })).rejects.toThrow('has a certificate for another name')
    changeUrl(place, (url) => (url.hostname = 'localhost'))
    const store = await open(place, { ca })
    await store.addGrant(grant('crm'))
    const [row] = await server.query(
      "select count(*)::int as open, count(*) filter (where ssl)::int as secure from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'sallyport'",
    )
    expect(row?.['open']).toBeGreaterThanOrEqual(2)
    expect(row?.['secure']).toBe(row?.['open'])
    const another = (await makeAuthority()).certPem
    await expect(open(place, { ca: another })).rejects.toThrow(/that is not trusted/)
    await expect(open({ ...place, settings: { ...place.settings, tls: {} } })).rejects.toThrow(/that is not trusted/)
  })
})
