import { expect, test } from 'vitest'
import { UNREADABLE } from '../../src/core/holdings.ts'
import { openTestDoor } from './door.ts'

const LATER = '2100-01-01T02:00:00+02:00'

test('a grant is made, shown beside the declared ones, and revoked; each is told to the audit with before and after', async () => {
  const door = await openTestDoor()
  const body = { caller: 'checkout', connection: 'old', rules: [{ methods: ['GET'], paths: ['/v1/**'] }], until: LATER }
  const { status, json: made } = await door.ask('POST', '/v1/grants', { as: 'granter', body })
  expect(status).toBe(201)
  expect(made).toMatchObject({ ...body, source: 'stored', createdBy: 'granter-1', until: '2100-01-01T00:00:00.000Z' })
  const { json: list } = await door.ask('GET', '/v1/grants', { as: 'viewer' })
  expect(list['items']).toEqual([
    {
      id: 'grants[0]',
      source: 'declared',
      caller: 'checkout',
      connection: 'crm',
      rules: [{ methods: ['GET'], paths: ['/v1/*'] }],
    },
    {
      id: 'grants[1]',
      source: 'declared',
      group: 'west',
      connection: 'old',
      rules: [],
      until: '2020-01-01T00:00:00.000Z',
    },
    made,
  ])
  expect((await door.ask('DELETE', `/v1/grants/${made['id']}`, { as: 'granter' })).status).toBe(204)
  expect(door.store.holdings().grants).toEqual([])
  expect(door.changes).toMatchObject([
    {
      action: 'grant.add',
      operator: 'granter-1',
      proof: 'api-key',
      subject: made['id'],
      before: undefined,
      after: made,
    },
    { action: 'grant.remove', subject: made['id'], before: made, after: undefined, code: undefined },
  ])
})

test('a grant whose rules nobody can read is shown as that, and revoked', async () => {
  const origin = await openTestDoor()
  const { json } = await origin.ask('POST', '/v1/grants', { body: { group: 'west', connection: 'crm' } })
  const grants = origin.store.holdings().grants.map((one) => ({ ...one, rules: UNREADABLE }))
  const store = Object.create(origin.store, {
    holdings: { value: () => ({ ...origin.store.holdings(), grants }) },
    removeGrants: { value: () => Promise.resolve(grants) },
  })
  const door = await openTestDoor({ over: { store } })
  expect((await door.ask('GET', '/v1/grants?group=west&connection=crm')).json['items']).toMatchObject([
    { id: json['id'], rules: [], isUnreadable: true },
  ])
  expect((await door.ask('DELETE', `/v1/grants/${json['id']}`)).status).toBe(204)
  expect(door.changes).toMatchObject([{ action: 'grant.remove', before: { isUnreadable: true }, code: undefined }])
})

test('a list comes in parts, and its filter holds', async () => {
  const door = await openTestDoor()
  for (let at = 0; at < 5; at++) await door.ask('POST', '/v1/grants', { body: { group: `g${at}`, connection: 'crm' } })
  const seen: string[] = []
  let cursor: string | undefined
  do {
    const { json } = await door.ask('GET', `/v1/grants?connection=crm&limit=2${cursor ? `&cursor=${cursor}` : ''}`)
    const { items, cursor: next } = json as unknown as { items: { caller?: string; group?: string }[]; cursor?: string }
    seen.push(...items.map(({ caller, group }) => caller ?? group ?? ''))
    cursor = next
  } while (cursor)
  expect(seen).toEqual(['checkout', 'g0', 'g1', 'g2', 'g3', 'g4'])
  const { json } = await door.ask('GET', '/v1/grants?group=g3')
  expect(json['items']).toMatchObject([{ group: 'g3' }])
})

test.each([
  ['an unknown caller', { caller: 'nobody', connection: 'crm' }, '#/caller', 'use the name of a caller: checkout'],
  [
    'a name every object has',
    { caller: 'constructor', connection: 'crm' },
    '#/caller',
    'use the name of a caller: checkout',
  ],
  [
    'an unknown connection',
    { caller: 'checkout', connection: 'crn' },
    '#/connection',
    'use the name of a connection: crm, old',
  ],
  ['a connection every object has', { caller: 'checkout', connection: 'toString' }, '#/connection', /^use the name/],
  ['a past time', { caller: 'checkout', connection: 'crm', until: '2020-01-01T00:00:00Z' }, '#/until', /still to come/],
  [
    'a time without an offset',
    { caller: 'checkout', connection: 'crm', until: '2100-01-01T00:00:00' },
    '#/until',
    /offset/,
  ],
  ['a day that is none', { caller: 'checkout', connection: 'crm', until: '2100-02-31T00:00:00Z' }, '#/until', /offset/],
  ['a duration', { caller: 'checkout', connection: 'crm', until: '30d' }, '#/until', /2027-06-30T00:00:00Z/],
  ['caller and group', { caller: 'checkout', group: 'g', connection: 'crm' }, '#/group', /exactly one/],
  ['neither', { connection: 'crm' }, '#/caller', /exactly one/],
  [
    'an unknown key',
    { caller: 'checkout', connection: 'crm', ttl: 5 },
    '#/ttl',
    /unknown key; known here: caller, group/,
  ],
  ['a proto key', '{"caller":"checkout","connection":"crm","__proto__":{"a":1}}', '#/__proto__', /unknown key/],
  ['a name of 10,000 characters', { caller: 'x'.repeat(10_000), connection: 'crm' }, '#/caller', /256 characters/],
  ['a name with a line feed', { caller: 'a\nb', connection: 'crm' }, '#/caller', /one line/],
  ['a name that turns the text round', { caller: 'a\u202eb', connection: 'crm' }, '#/caller', /one line/],
  ['a name of half a character', { caller: 'a\ud800', connection: 'crm' }, '#/caller', /one line/],
  ['an empty group', { group: '', connection: 'crm' }, '#/group', /one line/],
  ['no rule', { caller: 'checkout', connection: 'crm', rules: [] }, '#/rules', /leave rules out/],
  [
    'a lower-case method',
    { caller: 'checkout', connection: 'crm', rules: [{ methods: ['get'] }] },
    '#/rules/0/methods/0',
    /"GET"/,
  ],
  [
    'a path of two readings',
    { caller: 'checkout', connection: 'crm', rules: [{ paths: ['/a/../b'] }] },
    '#/rules/0/paths/0',
    /without/,
  ],
  [
    'a path without its slash',
    { caller: 'checkout', connection: 'crm', rules: [{ paths: ['v1'] }] },
    '#/rules/0/paths/0',
    /use "\/v1"/,
  ],
  ['a number for a name', { caller: 5, connection: 'crm' }, '#/caller', /a text/],
  ['a list', [], '#', /a mapping/],
  ['null', 'null', '#', /a mapping/],
] as const)('%s is refused with the form to use, and told to the audit', async (_what, body, pointer, detail) => {
  const door = await openTestDoor()
  const { status, json } = await door.ask('POST', '/v1/grants', { as: 'granter', body })
  expect([status, json['code']]).toEqual([422, 'input-invalid'])
  expect(json['errors']).toContainEqual({
    pointer,
    detail: typeof detail === 'string' ? detail : expect.stringMatching(detail),
  })
  expect(json['detail']).toContain(pointer)
  expect(door.store.holdings().grants).toEqual([])
  expect(door.changes).toMatchObject([{ action: 'grant.add', operator: 'granter-1', code: 'input-invalid' }])
})

test('everything that is wrong is said at once', async () => {
  const door = await openTestDoor()
  const { json } = await door.ask('POST', '/v1/grants', {
    body: { caller: 'nobody', connection: 'none', until: '2020-01-01T00:00:00Z' },
  })
  expect(json['errors']).toMatchObject([{ pointer: '#/caller' }, { pointer: '#/connection' }, { pointer: '#/until' }])
})

test('what the settings grant cannot be revoked here', async () => {
  const door = await openTestDoor()
  const one = await door.ask('DELETE', `/v1/grants/${encodeURIComponent('grants[0]')}`)
  expect([one.status, one.json['code']]).toEqual([409, 'grant-declared'])
  const all = await door.ask('POST', '/v1/grants/revoke', { body: { caller: 'checkout', connection: 'crm' } })
  expect([all.status, all.json['code']]).toEqual([409, 'grant-declared'])
  expect(all.json['detail']).toContain('grants[0]')
  expect(door.changes).toMatchObject([
    { action: 'grant.remove', subject: 'grants[0]', code: 'grant-declared' },
    { action: 'grant.remove', subject: 'checkout crm', code: 'grant-declared' },
  ])
})

test('revoke takes all that can be taken, and says what stays', async () => {
  const door = await openTestDoor()
  for (const method of ['POST', 'PUT'])
    await door.ask('POST', '/v1/grants', {
      body: { caller: 'checkout', connection: 'crm', rules: [{ methods: [method] }] },
    })
  await door.ask('POST', '/v1/grants', { body: { caller: 'checkout', connection: 'old' } })
  const { json } = await door.ask('POST', '/v1/grants/revoke', { body: { caller: 'checkout', connection: 'crm' } })
  expect(json).toMatchObject({
    revoked: [{ connection: 'crm' }, { connection: 'crm' }],
    declared: [{ id: 'grants[0]' }],
  })
  expect(door.store.holdings().grants).toMatchObject([{ connection: 'old' }])
  const again = await door.ask('POST', '/v1/grants/revoke', { body: { group: 'nobody', connection: 'crm' } })
  expect([again.status, again.json['code']]).toEqual([404, 'not-found'])
})

test('a grant that is gone is not found', async () => {
  const door = await openTestDoor()
  expect((await door.ask('DELETE', '/v1/grants/none')).json['code']).toBe('not-found')
})
