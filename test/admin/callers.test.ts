import { hash } from 'node:crypto'
import { expect, test } from 'vitest'
import { openTestDoor } from './door.ts'

test('a caller is added with a key that is shown this once, and kept as a digest', async () => {
  const door = await openTestDoor()
  const { status, json, text } = await door.ask('POST', '/v1/callers', { as: 'granter', body: { name: 'billing' } })
  expect(status).toBe(201)
  const key = String(json['key'])
  expect(key).toMatch(/^sp_[\w-]{43}$/)
  expect(text.split(key)).toHaveLength(2)
  const [stored] = door.store.holdings().callers
  expect(stored).toMatchObject({ name: 'billing', createdBy: 'granter-1', keys: [{ digest: hash('sha256', key) }] })
  const list = await door.ask('GET', '/v1/callers', { as: 'viewer' })
  expect(list.json['items']).toMatchObject([
    { name: 'billing', source: 'stored', proof: 'api-key', createdBy: 'granter-1' },
    { name: 'checkout', source: 'declared', proof: 'api-key' },
  ])
  expect(JSON.stringify([list.text, door.changes])).not.toContain(key.slice(3))
  expect(JSON.stringify([list.text, door.changes])).not.toContain(hash('sha256', key))
})

test('a key is rotated: at once, or with a time in which both are good', async () => {
  const door = await openTestDoor()
  await door.ask('POST', '/v1/callers', { body: { name: 'billing' } })
  const digest = (key: unknown) => hash('sha256', String(key))
  const one = await door.ask('POST', '/v1/callers/billing/rotate-key')
  const list = await door.ask('GET', '/v1/callers?limit=1')
  expect(list.json['items']).toMatchObject([{ name: 'billing', keys: [{ id: one.json['id'] }] }])
  const before = Date.now()
  const two = await door.ask('POST', '/v1/callers/billing/rotate-key', { body: { overlapMs: 60_000 } })
  const keys = door.store.holdings().callers[0]?.keys ?? []
  expect(keys.map((key) => key.digest).toSorted()).toEqual(
    [digest(one.json['key']), digest(two.json['key'])].toSorted(),
  )
  const expiresAt = keys.find((key) => key.digest === digest(one.json['key']))?.expiresAt ?? 0
  expect(expiresAt).toBeGreaterThanOrEqual(before + 60_000)
  expect(expiresAt).toBeLessThan(before + 120_000)
  expect(door.changes.slice(1)).toMatchObject([
    { action: 'caller.rotate-key', subject: 'billing', before: { keys: [{}] }, after: { keys: [{}] } },
    { action: 'caller.rotate-key', subject: 'billing', before: { keys: [{}] }, after: { keys: [{}, {}] } },
  ])
})

test('a caller is removed with its grants, and its name does not bring them back', async () => {
  const door = await openTestDoor()
  await door.ask('POST', '/v1/callers', { body: { name: 'billing' } })
  await door.ask('POST', '/v1/grants', { body: { caller: 'billing', connection: 'crm' } })
  const removed = await door.ask('DELETE', '/v1/callers/billing')
  expect([removed.status, removed.json]).toEqual([200, { logins: [] }])
  expect(door.store.holdings()).toMatchObject({ callers: [], grants: [] })
  expect(door.changes.at(-1)).toMatchObject({
    action: 'caller.remove',
    before: { name: 'billing', grants: [{ connection: 'crm' }] },
    after: undefined,
  })
  await door.ask('POST', '/v1/callers', { body: { name: 'billing' } })
  expect(door.store.holdings().grants).toEqual([])
})

test('a name that grants wait for is taken: whoever had it next would have them', async () => {
  const door = await openTestDoor()
  await door.store.addGrant({
    holder: { caller: 'gone' },
    connection: 'crm',
    rules: [],
    until: undefined,
    createdBy: 'somebody',
  })
  const { status, json } = await door.ask('POST', '/v1/callers', { body: { name: 'gone' } })
  expect([status, json['code']]).toEqual([409, 'name-taken'])
  expect(json['detail']).toMatch(/revoke grant \S+ first/)
})

test('a name that a template may make is taken, and may be granted to', async () => {
  const door = await openTestDoor()
  const declared = {
    ...door.ports.declared(),
    proofOf: (name: string) => (name.startsWith('shop/') || name === 'ci' ? 'jwt' : undefined),
  }
  const other = await openTestDoor({ over: { declared: () => declared } })
  expect((await other.ask('POST', '/v1/callers', { body: { name: 'ci' } })).json['code']).toBe('name-taken')
  expect((await other.ask('POST', '/v1/grants', { body: { caller: 'shop/cart', connection: 'crm' } })).status).toBe(201)
})

test.each(['DELETE /v1/callers/checkout', 'POST /v1/callers/checkout/rotate-key'])(
  '%s: what the settings declare cannot be changed here',
  async (line) => {
    const door = await openTestDoor()
    const [method = '', path = ''] = line.split(' ')
    const { status, json } = await door.ask(method, path)
    expect([status, json['code']]).toEqual([409, 'caller-declared'])
    expect(door.changes).toMatchObject([{ subject: 'checkout', code: 'caller-declared', operator: 'admin-1' }])
  },
)

test.each([
  ['a declared name', 'checkout', 409],
  ['nothing', '', 422],
  ['a path', '../x', 422],
  ['a colon', 'group:west', 422],
  ['a name of 129', 'x'.repeat(129), 422],
  ['a line feed', 'a\n', 422],
  ['another alphabet', 'аdmin', 422],
  ['markup', '<script>', 422],
  ['a leading dash', '-rf', 422],
  ['__proto__', '__proto__', 422],
])('%s is no name for a caller', async (_what, name, status) => {
  const door = await openTestDoor()
  const answer = await door.ask('POST', '/v1/callers', { body: { name } })
  expect(answer.status).toBe(status)
  expect(door.store.holdings().callers).toEqual([])
})

test('a name that every object has is a name like any other', async () => {
  const door = await openTestDoor()
  for (const name of ['constructor', 'toString', 'hasOwnProperty'])
    expect((await door.ask('POST', '/v1/callers', { body: { name } })).status).toBe(201)
  expect((await door.ask('DELETE', '/v1/callers/valueOf')).status).toBe(404)
})

test('of fifty who add one name at once, one does', async () => {
  const door = await openTestDoor()
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => door.ask('POST', '/v1/callers', { body: { name: 'one' } })),
  )
  const counts = Object.fromEntries(
    Map.groupBy(answers, ({ status }) => status)
      .entries()
      .map(([status, all]) => [status, all.length]),
  )
  expect(counts).toEqual({ 201: 1, 409: 49 })
  expect(door.store.holdings().callers).toHaveLength(1)
  expect(door.changes.filter(({ code }) => code === undefined)).toHaveLength(1)
  expect(door.changes.filter(({ code }) => code === 'name-taken')).toHaveLength(49)
})

test('grants and a removal at once leave no grant behind', async () => {
  const door = await openTestDoor()
  await door.ask('POST', '/v1/callers', { body: { name: 'billing' } })
  const granting = Array.from({ length: 20 }, () =>
    door.ask('POST', '/v1/grants', { body: { caller: 'billing', connection: 'crm' } }),
  )
  const answers = await Promise.all([...granting, door.ask('DELETE', '/v1/callers/billing')])
  expect(answers.at(-1)?.status).toBe(200)
  for (const { status } of answers.slice(0, -1)) expect([201, 404, 422]).toContain(status)
  expect(door.store.holdings()).toMatchObject({ callers: [], grants: [] })
})
