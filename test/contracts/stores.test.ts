import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { type Holdings, type StoredGrant, UNREADABLE } from '../../src/core/holdings.ts'
import { storeKinds } from '../../src/store/registry.ts'
import type { Store } from '../../src/store/store.ts'
import { hasTool } from '../support/debian.ts'
import { makeDigest, open, type StorePlace, StorePlaces, until } from '../support/stores.ts'
import { describeKinds } from './kinds.ts'

const places = new StorePlaces()

afterAll(() => places.close())

describeKinds('stores', storeKinds, { sqlite: { path: 'a.db' }, postgres: { url: { env: 'URL' } } })

type Draft = Omit<StoredGrant, 'id' | 'createdAt'>

function draft(caller: string, connection = 'crm', more: Partial<Draft> = {}): Draft {
  return { holder: { caller }, connection, rules: [], until: undefined, createdBy: 'ops', ...more }
}

function key(expiresAt?: number): { digest: string; expiresAt: number | undefined } {
  return { digest: makeDigest(), expiresAt }
}

// Object.keys has forgotten the names of the keys.
const kinds = Object.keys(storeKinds) as (keyof typeof storeKinds)[]

describe.each(kinds)('the store %s', (kind) => {
  const test_ = test.skipIf(kind === 'postgres' && !hasTool('postgresql'))
  let place: StorePlace
  let store: Store

  beforeEach(async ({ task }) => {
    if (task.mode === 'skip') return
    place = await places.make(kind)
    store = await open(place)
  })

  test_('is empty at first, and then holds what was put there, also after it was closed and opened again', async () => {
    expect(store.holdings()).toMatchObject({ callers: [], grants: [], switches: [] })
    const caller = await store.addCaller({ name: 'app', createdBy: 'ops' }, key(99))
    const rules = [{ methods: ['GET'], paths: ['/v1/*'] }, { methods: ['PUT'] }]
    const grant = await store.addGrant(draft('app', 'crm', { rules, until: 2 ** 45 }))
    const toGroup = await store.addGrant({ ...draft(''), holder: { group: 'west-sales' } })
    const off = await store.disable('crm', 'ops', 'incident 7')
    const before = store.holdings()
    expect(before).toMatchObject({ callers: [caller], grants: [grant, toGroup], switches: [off] })
    await store.close()
    expect((await open(place)).holdings()).toEqual(before)
  })

  test_('shows a change of its own before its promise resolves, and tells it once', async () => {
    const told: Holdings[] = []
    store.onChange((holdings) => told.push(holdings))
    const { id } = await store.addGrant(draft('app'))
    expect(store.holdings().grants.map((grant) => grant.id)).toEqual([id])
    expect(told).toEqual([store.holdings()])
    await store.removeGrants([id])
    expect(store.holdings().grants).toEqual([])
    expect(told.map(({ revision }) => revision)).toEqual([2, 3])
  })

  test_('gives what nobody can change, and the same lists where nothing was changed', async () => {
    await store.addCaller({ name: 'app', createdBy: 'ops' }, key())
    await store.addGrant(draft('app', 'crm', { rules: [{ methods: ['GET'] }] }))
    const before = store.holdings()
    expect(isFrozen(before)).toBe(true)
    await store.disable('crm', 'ops', undefined)
    const after = store.holdings()
    expect(after.grants).toBe(before.grants)
    expect(after.callers).toBe(before.callers)
    expect(after.switches).not.toBe(before.switches)
  })

  test_('refuses a second caller of a name, and a key that somebody has', async () => {
    const { digest } = key()
    await store.addCaller({ name: 'app', createdBy: 'ops' }, { digest, expiresAt: undefined })
    const { revision } = store.holdings()
    await expect(store.addCaller({ name: 'app', createdBy: 'ops' }, key())).rejects.toMatchObject({ code: 'taken' })
    const twice = store.addCaller({ name: 'other', createdBy: 'ops' }, { digest, expiresAt: undefined })
    await expect(twice).rejects.toMatchObject({ code: 'taken' })
    expect(store.holdings().callers).toHaveLength(1)
    expect(store.holdings().revision).toBe(revision)
  })

  test_('refuses to remove a caller, or to give it a key, that is not there', async () => {
    await expect(store.removeCaller('nobody')).rejects.toMatchObject({ code: 'missing' })
    await expect(store.rotateKey('nobody', key(), 7)).rejects.toMatchObject({ code: 'missing' })
  })

  test_('keeps the keys before the newest until then, and no longer than they had', async () => {
    await store.addCaller({ name: 'app', createdBy: 'ops' }, key())
    const second = await store.rotateKey('app', key(), Number.MAX_SAFE_INTEGER - 1)
    const third = await store.rotateKey('app', key(), Number.MAX_SAFE_INTEGER)
    const keys = () => store.holdings().callers[0]?.keys ?? []
    expect(keys().map(({ expiresAt }) => expiresAt)).toEqual([
      Number.MAX_SAFE_INTEGER - 1,
      Number.MAX_SAFE_INTEGER,
      undefined,
    ])
    expect(
      keys()
        .slice(1)
        .map(({ id }) => id),
    ).toEqual([second.id, third.id])
    await store.rotateKey('app', key(), 1)
    expect(keys()).toHaveLength(4)
    await store.rotateKey('app', key(), 1)
    expect(keys()).toHaveLength(2)
  })

  test_('removes a caller with its keys and its grants, and no others', async () => {
    const removed = await store.addCaller({ name: 'app', createdBy: 'ops' }, key())
    await store.addCaller({ name: 'other', createdBy: 'ops' }, key())
    const grant = await store.addGrant(draft('app'))
    const kept = await store.addGrant(draft('other'))
    expect(await store.removeCaller('app')).toEqual({ caller: removed, grants: [grant], logins: [] })
    expect(store.holdings()).toMatchObject({ callers: [{ name: 'other' }], grants: [kept] })
    await store.addCaller({ name: 'app', createdBy: 'ops' }, { digest: removed.keys[0]?.digest ?? '', expiresAt: 1 })
    expect(store.holdings().grants).toEqual([kept])
  })

  test_('names the grants that went with a caller, those too that somebody else has just made', async () => {
    await store.addCaller({ name: 'app', createdBy: 'ops' }, key())
    const elsewhere = await open(place, { settings: { pollMs: 60_000 } })
    const late = await elsewhere.addGrant(draft('app'))
    await elsewhere.close()
    expect((await store.removeCaller('app')).grants).toEqual([late])
  })

  test_.each([
    ['no JSON', '{'],
    ['no list', '{}'],
    ['nothing', 'null'],
    ['rules of no form', '[5]'],
    ['paths that are none', '[{"paths":5}]'],
    ['a path that is none', '[{"paths":["v1"]}]'],
    ['an empty list', '[{"methods":[]}]'],
    ['what a newer version would know', '[{"methods":["GET"],"hosts":["a.test"]}]'],
  ])('keeps a grant whose rules are %s as one that nobody can read, and removes it', async (_what, rules) => {
    const { id } = await store.addGrant(draft('app'))
    await store.close()
    await places.run(place, `update grants set rules = '${rules}'`)
    const again = await open(place)
    expect(again.holdings().grants[0]?.rules).toBe(UNREADABLE)
    expect(await again.removeGrants([id])).toMatchObject([{ id, rules: UNREADABLE }])
    expect(again.holdings().grants).toEqual([])
  })

  test_('removes the grants that are there, and spends no revision where none is', async () => {
    const one = await store.addGrant(draft('app'))
    const other = await store.addGrant(draft('app'))
    expect(await store.removeGrants([one.id, 'nothing', other.id])).toEqual([one, other])
    const { revision } = store.holdings()
    expect(await store.removeGrants([one.id, 'nothing'])).toEqual([])
    expect(await store.removeGrants([])).toEqual([])
    expect(store.holdings().revision).toBe(revision)
  })

  test_('switches a connection off once: a second time changes the reason alone', async () => {
    const first = await store.disable('crm', 'ops', undefined)
    expect(await store.disable('crm', 'another', 'worse')).toEqual({ ...first, reason: 'worse' })
    expect(store.holdings().switches).toEqual([{ ...first, reason: 'worse' }])
    expect([await store.enable('crm'), await store.enable('crm')]).toEqual([true, false])
    expect(store.holdings().switches).toEqual([])
  })

  test_('two on one database see what the other changes within a second', async () => {
    const other = await open(place)
    await store.addCaller({ name: 'app', createdBy: 'ops' }, key())
    const { id } = await other.addGrant(draft('app'))
    await until(() => store.holdings().grants.length === 1, 1_000)
    await store.disable('crm', 'ops', undefined)
    await until(() => other.holdings().switches.length === 1, 1_000)
    await store.removeGrants([id])
    await until(() => other.holdings().grants.length === 0, 1_000)
    expect(other.holdings()).toEqual(store.holdings())
  })

  test_('two on one database lose nothing of what both change at once', async () => {
    const other = await open(place)
    const made = await Promise.all(
      Array.from({ length: 40 }, (_, index) => (index % 2 ? store : other).addGrant(draft('app', `c${index}`))),
    )
    await Promise.all(made.slice(0, 20).map(({ id }, index) => (index % 2 ? store : other).removeGrants([id])))
    const kept = made.slice(20).map(({ id }) => id)
    for (const each of [store, other, await open(place)]) {
      await until(() => each.holdings().grants.length === 20)
      expect(
        each
          .holdings()
          .grants.map(({ id }) => id)
          .sort(),
      ).toEqual(kept.sort())
      expect(each.holdings().revision).toBe(61)
    }
  })

  test_('leaves no grant to a caller that is removed at the same moment', async () => {
    const other = await open(place)
    for (let round = 0; round < 10; round++) {
      await store.addCaller({ name: 'app', createdBy: 'ops' }, key())
      await until(() => other.holdings().callers.length === 1)
      const results = await Promise.allSettled([
        other.addGrant(draft('app')),
        store.removeCaller('app'),
        other.addGrant(draft('app')),
      ])
      expect(results[1].status).toBe('fulfilled')
      await until(() => other.holdings().callers.length === 0)
      expect(other.holdings().grants).toEqual([])
    }
  })

  test_('takes a new key of a caller that is removed at the same moment along with it', async () => {
    const other = await open(place)
    for (let round = 0; round < 5; round++) {
      await store.addCaller({ name: 'app', createdBy: 'ops' }, key())
      await Promise.allSettled([
        other.rotateKey('app', key(), 9),
        store.removeCaller('app'),
        store.rotateKey('app', key(), 9),
      ])
      expect(store.holdings().callers).toEqual([])
    }
  })

  test_('ten that open an empty database at once agree about its tables', async () => {
    const fresh = await places.make(kind)
    const all = await Promise.all(Array.from({ length: 10 }, () => open(fresh)))
    await all[0]?.addGrant(draft('app'))
    for (const each of all) await until(() => each.holdings().grants.length === 1)
  })

  test_('one who cannot hear of a change keeps nobody else from it', async () => {
    const faults: string[] = []
    const other = await open(place, { onFault: (message) => faults.push(message) })
    const told: number[] = []
    const stop = other.onChange(() => {
      throw new Error('deaf')
    })
    other.onChange(({ revision }) => told.push(revision))
    await other.addGrant(draft('app'))
    stop()
    await other.addGrant(draft('app'))
    expect(told).toEqual([2, 3])
    expect(faults).toEqual(['the store has changed, and somebody who was to be told failed'])
  })

  test_('reads everything anew when it was away for longer than changes are kept', async () => {
    const { id } = await store.addGrant(draft('gone'))
    const other = await open(place, { settings: { pollMs: 60_000 } })
    await places.run(place, `delete from grants where id = '${id}'`)
    await places.run(place, 'delete from changes')
    await places.run(place, 'update revision set value = value + 1')
    await places.run(place, 'update revision set kept_from = value')
    const kept = await other.addGrant(draft('kept'))
    expect(other.holdings().grants).toEqual([kept])
    await until(() => store.holdings().grants[0]?.id === kept.id)
  })

  test_('follows a database that was put back to what it was before', async () => {
    await store.addGrant(draft('early'))
    const early = store.holdings().grants
    const { id } = await store.addGrant(draft('late'))
    await places.run(place, `delete from grants where id = '${id}'`)
    await places.run(place, 'update revision set value = value - 1')
    await until(() => store.holdings().grants.length === 1)
    expect(store.holdings()).toMatchObject({ revision: 2, grants: early })
  })

  test_('knows that it is confirmed, again and again', async () => {
    const before = store.confirmedAt()
    await until(() => store.confirmedAt() > before)
    expect(store.state()).toEqual({ phase: 'confirmed' })
    await store.close()
    await store.close()
  })
})

function isFrozen(value: unknown): boolean {
  return typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(isFrozen))
}
