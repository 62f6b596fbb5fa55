import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import { openSecret } from '../../src/secrets/open.ts'
import { SecretReference } from '../../src/secrets/reference.ts'
import { storeKinds } from '../../src/store/registry.ts'
import type { Store } from '../../src/store/store.ts'
import { hasTool } from '../support/debian.ts'
import { makeKey, open, type StorePlace, StorePlaces, until } from '../support/stores.ts'

const places = new StorePlaces()
const CANARY = 'LT_CANARY'

afterAll(() => places.close())

// Object.keys has forgotten the names of the keys.
const kinds = Object.keys(storeKinds) as (keyof typeof storeKinds)[]

describe.each(kinds)('secrets in the store %s', (kind) => {
  const test_ = test.skipIf(kind === 'postgres' && !hasTool('postgresql'))
  let place: StorePlace
  let store: Store

  beforeEach(async ({ task }) => {
    if (task.mode === 'skip') return
    place = await places.make(kind)
    store = await open(place)
  })

  async function valueOf(name: string, of = store): Promise<string> {
    return (await of.secrets.open(name)).secret.reveal()
  }

  async function rows(): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return places.run(place, 'select * from secrets order by name, version')
  }

  test_('give the version in use, and list all of them', async () => {
    await store.secrets.put('crm', new Secret('first'), 'ops')
    const second = await store.secrets.put('crm', new Secret('sécond\n'), 'ann')
    expect(second).toMatchObject({ name: 'crm', version: 2, createdBy: 'ann' })
    expect([await valueOf('crm'), (await store.secrets.open('crm')).version]).toEqual(['sécond\n', 2])
    expect(await store.secrets.list()).toMatchObject([{ version: 1, createdBy: 'ops' }, second])
    await store.close()
    expect(await valueOf('crm', await open(place))).toBe('sécond\n')
  })

  test_('are removed, and told of, and the next one of that name is no earlier version', async () => {
    const changed: string[] = []
    store.secrets.onChange((name) => changed.push(name))
    await store.secrets.put('crm', new Secret(CANARY), 'ops')
    await store.secrets.put('other', new Secret('stays'), 'ops')
    expect(await store.secrets.remove('crm')).toMatchObject({ name: 'crm', version: 1, createdBy: 'ops' })
    await expect(store.secrets.open('crm')).rejects.toMatchObject({ code: 'missing' })
    await expect(store.secrets.remove('crm')).rejects.toMatchObject({ code: 'missing' })
    expect(await store.secrets.list()).toMatchObject([{ name: 'other' }])
    expect((await rows())[0]).toMatchObject({ name: 'crm', sealed: null, key_id: null })
    expect(changed).toEqual(['crm', 'other', 'crm'])
    expect(await store.secrets.put('crm', new Secret('second'), 'ops')).toMatchObject({ version: 2 })
    expect(await valueOf('crm')).toBe('second')
  })

  test_('are sealed where they are kept, and what is not in use is gone', async () => {
    await store.secrets.put('crm', new Secret(CANARY), 'ops')
    await store.secrets.put('crm', new Secret(`${CANARY}-2`), 'ops')
    const [first, second] = await rows()
    expect(first).toMatchObject({ sealed: null, key_id: null })
    expect(second?.['sealed']).toMatch(/^[A-Za-z0-9+/]+=*$/)
    const written = globSync(join(place.directory, 'store/*'))
      .map((file) => readFileSync(file, 'latin1'))
      .join()
    for (const text of [written, JSON.stringify(await rows())]) expect(text).not.toContain(CANARY)
    expect(inspect(store, { depth: 30, showHidden: true })).not.toContain(CANARY)
  })

  test_('seal the same text differently each time', async () => {
    await store.secrets.put('a', new Secret(CANARY), 'ops')
    await store.secrets.put('b', new Secret(CANARY), 'ops')
    const [a, b] = await rows()
    expect(a?.['sealed']).not.toBe(b?.['sealed'])
  })

  test_('do not open in the place of another, nor changed', async () => {
    await store.secrets.put('admin', new Secret('powerful'), 'ops')
    await store.secrets.put('guest', new Secret('weak'), 'ops')
    const [admin, guest] = await rows()
    await places.run(place, `update secrets set sealed = '${String(guest?.['sealed'])}' where name = 'admin'`)
    await expect(store.secrets.open('admin')).rejects.toMatchObject({ code: 'key' })
    await expect(store.secrets.open('admin')).rejects.toThrow(/admin in the store was changed by somebody else/)
    await places.run(
      place,
      `update secrets set sealed = '${String(admin?.['sealed'])}', version = 7 where name = 'admin'`,
    )
    await expect(store.secrets.open('admin')).rejects.toMatchObject({ code: 'key' })
    await places.run(place, "update secrets set sealed = 'AAAA' where name = 'guest'")
    await expect(store.secrets.open('guest')).rejects.toMatchObject({ code: 'key' })
  })

  test_('say which is missing, and how it comes there', async () => {
    await expect(store.secrets.open('crm')).rejects.toMatchObject({ code: 'missing' })
    await expect(store.secrets.open('crm')).rejects.toThrow(
      '`sallyport secret set crm --offline --config FILE < VALUE` puts it there',
    )
  })

  test_.for([['../x'], [''], ['a b'], ['é'], ['a'.repeat(129)]])('refuse the name %j', async ([name]) => {
    await expect(store.secrets.put(name ?? '', new Secret('x'), 'ops')).rejects.toThrow('use a name of letters')
  })

  test_('refuse more than 64 KiB, and take as much', async () => {
    await store.secrets.put('crm', new Secret('x'.repeat(65_536)), 'ops')
    expect((await valueOf('crm')).length).toBe(65_536)
    await expect(store.secrets.put('crm', new Secret('é'.repeat(32_769)), 'ops')).rejects.toThrow('at most 65536 bytes')
  })

  test_('cannot be put without a key, and say what to set', async () => {
    const without = await open(place, { settings: { key: undefined } })
    await expect(without.secrets.put('crm', new Secret('x'), 'ops')).rejects.toThrow('name one in "store.key"')
    await store.secrets.put('crm', new Secret('x'), 'ops')
    await expect(without.secrets.open('crm')).rejects.toThrow(
      /sealed under the key [0-9a-f]{12}: name it in "store.key"/,
    )
  })

  test_('under another key say so, and open again under theirs', async () => {
    await store.secrets.put('crm', new Secret(CANARY), 'ops')
    const right = place.secrets.get('KEY') ?? ''
    place.secrets.set('KEY', makeKey())
    const other = await open(place)
    await expect(other.secrets.open('crm')).rejects.toMatchObject({ code: 'key' })
    await expect(other.secrets.open('crm')).rejects.toThrow(
      /crm was sealed under the key [0-9a-f]{12}, and "store.key" is [0-9a-f]{12}: name that other one in "store.previousKeys"/,
    )
    place.secrets.set('KEY', right)
    expect(await valueOf('crm', await open(place))).toBe(CANARY)
  })

  test_('are sealed anew under another key at start, and need the one before no more', async () => {
    for (const name of ['a', 'b', 'c']) await store.secrets.put(name, new Secret(`${CANARY} ${name}`), 'ops')
    const before = await rows()
    place.secrets.set('OLD', place.secrets.get('KEY') ?? '')
    place.secrets.set('KEY', makeKey())
    const rotated = await open(place, { settings: { previousKeys: [{ env: 'OLD' }] } })
    expect(await valueOf('b', rotated)).toBe(`${CANARY} b`)
    const after = await rows()
    expect(after.map((row) => row['version'])).toEqual([1, 1, 1])
    expect(after.some((row, index) => row['key_id'] === before[index]?.['key_id'])).toBe(false)
    expect(await valueOf('c', await open(place))).toBe(`${CANARY} c`)
  })

  test_('open all when sealing anew was cut short, and the next start ends it', async () => {
    for (const name of ['a', 'b']) await store.secrets.put(name, new Secret(name), 'ops')
    const [a] = await rows()
    place.secrets.set('OLD', place.secrets.get('KEY') ?? '')
    place.secrets.set('KEY', makeKey())
    const settings = { previousKeys: [{ env: 'OLD' }] }
    await open(place, { settings })
    // As if only `b` had been done.
    await places.run(
      place,
      `update secrets set sealed = '${String(a?.['sealed'])}', key_id = '${String(a?.['key_id'])}' where name = 'a'`,
    )
    await open(place, { settings })
    const last = await open(place)
    expect([await valueOf('a', last), await valueOf('b', last)]).toEqual(['a', 'b'])
  })

  test_.for([['a passphrase'], ['0'.repeat(63)], [Buffer.alloc(31).toString('base64')], ['!'.repeat(43)]])(
    'are not sealed under %j',
    async ([key]) => {
      place.secrets.set('KEY', key ?? '')
      const error = await open(place).then(() => 'none', String)
      expect(error).toContain('`openssl rand -base64 32` makes one')
      expect(error).not.toContain(key)
    },
  )

  test_('are told of to everybody, by name, within a second', async () => {
    const other = await open(place)
    const told: string[] = []
    const stop = other.secrets.onChange((name) => told.push(name))
    await store.secrets.put('crm', new Secret('x'), 'ops')
    await until(() => told.length > 0)
    stop()
    await store.secrets.put('maps', new Secret('x'), 'ops')
    await until(() => other.holdings().revision === store.holdings().revision)
    expect(told).toEqual(['crm'])
  })

  test_('by reference are read at once, and again when another instance has set them', async () => {
    await store.secrets.put('crm', new Secret('first'), 'ops')
    const other = await open(place)
    const held = await openSecret(new SecretReference({ store: 'crm' }), { directory: '/', stored: other.secrets })
    expect(held.current()).toMatchObject({ version: 1 })
    let calls = 0
    held.onChange(() => calls++)
    await store.secrets.put('crm', new Secret('second'), 'ops')
    await until(() => calls === 1)
    expect([held.current().secret.reveal(), held.current().version]).toEqual(['second', 2])
    held.close()
    await store.secrets.put('crm', new Secret('third'), 'ops')
    await until(() => other.holdings().revision === store.holdings().revision)
    expect(held.current().version).toBe(2)
  })

  test_('by reference keep the value before, where the new one cannot be opened', async () => {
    await store.secrets.put('crm', new Secret('first'), 'ops')
    const faults: string[] = []
    const base = { directory: '/', stored: store.secrets, onFault: (message: string) => void faults.push(message) }
    const held = await openSecret(new SecretReference({ store: 'crm' }), base)
    place.secrets.set('KEY', makeKey())
    await (await open(place)).secrets.put('crm', new Secret('second'), 'ops')
    await until(() => faults.length === 1)
    expect(faults[0]).toMatch(/sealed under the key .* The secret read before stays in use/)
    expect(held.current().secret.reveal()).toBe('first')
    held.close()
  })
})

test('a secret in the store is none without a store, and says so', async () => {
  const opening = openSecret(new SecretReference({ store: 'crm' }), { directory: '/' })
  await expect(opening).rejects.toThrow('there is no store open here: use { file: PATH } or { env: NAME }')
})
