import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import type { LoginLease } from '../../src/core/login.ts'
import { Secret } from '../../src/core/secret.ts'
import { storeKinds } from '../../src/store/registry.ts'
import type { Store } from '../../src/store/store.ts'
import { hasTool } from '../support/debian.ts'
import { makeKey, open, type StorePlace, StorePlaces, until } from '../support/stores.ts'

const places = new StorePlaces()
const CANARY = 'RT_CANARY'
const ANN = { connection: 'crm', identity: 'caller:ann' }
const BOB = { connection: 'crm', identity: 'caller:bob' }
const SHARED = { connection: 'crm', identity: 'shared' }
const HOLD_MS = 5_000

afterAll(() => places.close())

// Object.keys has forgotten the names of the keys.
const kinds = Object.keys(storeKinds) as (keyof typeof storeKinds)[]

describe.each(kinds)('logins in the store %s', (kind) => {
  const test_ = test.skipIf(kind === 'postgres' && !hasTool('postgresql'))
  let place: StorePlace
  let store: Store

  beforeEach(async ({ task }) => {
    if (task.mode === 'skip') return
    place = await places.make(kind)
    store = await open(place)
  })

  async function contentOf(at = ANN, of = store): Promise<string | undefined> {
    return (await of.logins.open(at))?.content.reveal()
  }

  async function leased(at = ANN, of = store, holdMs = HOLD_MS): Promise<LoginLease> {
    const lease = await of.logins.lease(at, holdMs)
    if (!lease) throw new Error('there is no login to lease')
    return lease
  }

  test_('are there after a restart, each in its own place', async () => {
    await store.logins.put(ANN, new Secret('of ann'), { by: 'ops', expiresAt: 2_000 })
    await store.logins.put(SHARED, new Secret('of all'), { by: 'ops' })
    await store.close()
    const again = await open(place)
    expect([await contentOf(ANN, again), await contentOf(SHARED, again)]).toEqual(['of ann', 'of all'])
    expect(await contentOf(BOB, again)).toBeUndefined()
    expect(again.logins.find(ANN)).toMatchObject({ ...ANN, isAlive: true, expiresAt: 2_000, createdBy: 'ops' })
    expect(again.logins.of('crm')).toHaveLength(2)
    expect(again.logins.of('maps')).toEqual([])
  })

  test_('are sealed where they are kept', async () => {
    await store.logins.put(ANN, new Secret(CANARY), { by: 'ops' })
    await (await leased()).keep(new Secret(`${CANARY}-2`))
    const rows = JSON.stringify(await places.run(place, 'select * from logins'))
    const written = globSync(join(place.directory, 'store/*'))
      .map((file) => readFileSync(file, 'latin1'))
      .join()
    for (const text of [rows, written, inspect(store, { depth: 30, showHidden: true })])
      expect(text).not.toContain(CANARY)
  })

  test_('do not open in the place of another', async () => {
    await store.logins.put(ANN, new Secret('of ann'), { by: 'ops' })
    await places.run(place, "update logins set identity = 'caller:bob' where identity = 'caller:ann'")
    await expect(store.logins.open(BOB)).rejects.toMatchObject({ code: 'key' })
    await expect(store.logins.lease(BOB, HOLD_MS)).rejects.toThrow(/was changed by somebody else: log in again/)
  })

  test_('need a key', async () => {
    const without = await open(place, { settings: { key: undefined } })
    await expect(without.logins.put(ANN, new Secret('x'), { by: 'ops' })).rejects.toThrow('name one in "store.key"')
  })

  test_('are sealed anew under another key at start', async () => {
    await store.logins.put(ANN, new Secret('of ann'), { by: 'ops' })
    place.secrets.set('OLD', place.secrets.get('KEY') ?? '')
    place.secrets.set('KEY', makeKey())
    await open(place, { settings: { previousKeys: [{ env: 'OLD' }] } })
    expect(await contentOf(ANN, await open(place))).toBe('of ann')
  })

  test_('that take the place of another are other logins, known to everybody within a second', async () => {
    const other = await open(place)
    const first = await store.logins.put(ANN, new Secret('first'), { by: 'ops' })
    const second = await store.logins.put(ANN, new Secret('second'), { by: 'ann' })
    expect(second.id).not.toBe(first.id)
    await until(() => other.logins.find(ANN)?.id === second.id)
    expect(await contentOf(ANN, other)).toBe('second')
    expect((await other.logins.remove(ANN))?.login).toEqual(second)
    expect(await other.logins.remove(ANN)).toBeUndefined()
    await until(() => store.logins.find(ANN) === undefined)
  })

  test_('of a caller go with it, so that the next one of its name has none', async () => {
    const key = (digit: string) => ({ digest: digit.repeat(64), expiresAt: undefined })
    const others = [BOB, SHARED, { connection: 'crm', identity: 'claim:sub:ann' }]
    await store.addCaller({ name: 'ann', createdBy: 'ops' }, key('a'))
    for (const at of [ANN, { ...ANN, connection: 'maps' }, ...others])
      await store.logins.put(at, new Secret('x'), { by: 'ann' })
    const { logins } = await store.removeCaller('ann')
    expect(logins.map(({ login }) => login.connection).toSorted()).toEqual(['crm', 'maps'])
    // By a link that was still good, say.
    await store.logins.put(ANN, new Secret('late'), { by: 'ann' })
    await store.addCaller({ name: 'ann', createdBy: 'ops' }, key('b'))
    expect([store.logins.find(ANN), await contentOf(ANN)]).toEqual([undefined, undefined])
    for (const at of others) expect(await contentOf(at)).toBe('x')
  })

  test_('are taken away with what was kept of them, for whoever is to be told that it has ended', async () => {
    await store.logins.put(ANN, new Secret('of ann'), { by: 'ops' })
    expect((await store.logins.remove(ANN))?.content?.reveal()).toBe('of ann')
    await store.addCaller({ name: 'ann', createdBy: 'ops' }, { digest: 'c'.repeat(64), expiresAt: undefined })
    await store.logins.put(ANN, new Secret('of ann again'), { by: 'ops' })
    const { logins } = await store.removeCaller('ann')
    expect(logins.map(({ content }) => content?.reveal())).toEqual(['of ann again'])
  })

  test_('are taken away also where nothing is left of them, or nobody can open it', async () => {
    await store.logins.put(ANN, new Secret('of ann'), { by: 'ops' })
    await (await leased()).drop()
    expect(await store.logins.remove(ANN)).toMatchObject({ login: { isAlive: false }, content: undefined })
    await store.logins.put(ANN, new Secret('of ann'), { by: 'ops' })
    place.secrets.set('KEY', makeKey())
    const other = await open(place)
    expect(await other.logins.remove(ANN)).toMatchObject({ login: { isAlive: true }, content: undefined })
    expect(other.logins.find(ANN)).toBeUndefined()
  })

  test_('are begun once where two begin at once', async () => {
    const other = await open(place)
    const facts = { by: 'settings', ifAbsent: true }
    const [one, two] = await Promise.all([
      store.logins.put(ANN, new Secret('x'), facts),
      other.logins.put(ANN, new Secret('x'), facts),
    ])
    expect(one.id).toBe(two.id)
  })

  test_('are leased to one at a time, and who waited finds what was kept', async () => {
    const other = await open(place)
    await store.logins.put(ANN, new Secret('rt-1'), { by: 'ops' })
    const lease = await leased()
    const seen: string[] = []
    const waiting = leased(ANN, other).then((second) => {
      seen.push(second.kept.content.reveal())
      return second
    })
    seen.push('still mine')
    expect(await lease.keep(new Secret('rt-2'))).toBe(2)
    expect((await waiting).tries).toBe(1)
    expect(seen).toEqual(['still mine', 'rt-2'])
  })

  test_('of one that was killed are leased to the next, which sees that they may have been shown', async () => {
    const other = await open(place)
    await store.logins.put(ANN, new Secret('rt-1'), { by: 'ops' })
    await leased(ANN, store, 50)
    const second = await leased(ANN, other)
    expect([second.tries, second.kept.content.reveal()]).toEqual([2, 'rt-1'])
    await second.release('unknown')
    expect((await leased()).tries).toBe(3)
  })

  test_('that surely were not spent count no try', async () => {
    await store.logins.put(ANN, new Secret('rt-1'), { by: 'ops' })
    await (await leased()).release('unspent')
    expect((await leased()).tries).toBe(1)
  })

  test_('are kept by whoever was only slow, and what is older never takes the place of it', async () => {
    const other = await open(place)
    await store.logins.put(ANN, new Secret('rt-1'), { by: 'ops' })
    const slow = await leased(ANN, store, 20)
    const eager = await leased(ANN, other, 20)
    expect(await slow.keep(new Secret('rt-2'))).toBe(2)
    expect(await eager.keep(new Secret('rt-1b'))).toBeUndefined()
    expect(await eager.drop()).toBe(false)
    await eager.release('unknown')
    expect(await contentOf()).toBe('rt-2')
  })

  test_('that are taken no more are dropped, and leave that there was one', async () => {
    const other = await open(place)
    await store.logins.put(ANN, new Secret('rt-1'), { by: 'ops' })
    expect(await (await leased()).drop()).toBe(true)
    expect(await contentOf()).toBeUndefined()
    expect(await store.logins.lease(ANN, HOLD_MS)).toBeUndefined()
    await until(() => other.logins.find(ANN)?.isAlive === false)
    await store.logins.put(ANN, new Secret('rt-2'), { by: 'ops', ifAbsent: true })
    expect(store.logins.find(ANN)?.isAlive).toBe(false)
  })

  test_('tell others when they end, where that has changed', async () => {
    const other = await open(place)
    await store.logins.put(ANN, new Secret('rt-1'), { by: 'ops', expiresAt: 1_000_000 })
    await (await leased()).keep(new Secret('rt-2'), 9_000_000)
    await until(() => other.logins.find(ANN)?.expiresAt === 9_000_000)
    const { revision } = store.holdings()
    await (await leased()).keep(new Secret('rt-3'), 9_000_001)
    expect(store.holdings().revision).toBe(revision)
    expect(await contentOf(ANN, other)).toBe('rt-3')
  })

  test_('that were taken away while they were spent are not kept', async () => {
    await store.logins.put(ANN, new Secret('rt-1'), { by: 'ops' })
    const lease = await leased()
    await store.logins.remove(ANN)
    expect(await lease.keep(new Secret('rt-2'))).toBeUndefined()
    expect(await contentOf()).toBeUndefined()
  })
})
