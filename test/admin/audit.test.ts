import http from 'node:http'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import type { AuditLine } from '../../src/core/audit-line.ts'
import { StoreError } from '../../src/store/store.ts'
import { openTestDoor, type TestDoor } from './door.ts'

const START = Date.UTC(2026, 5, 1)

function lineOf(seq: number, keys: Partial<AuditLine['keys']> = {}): AuditLine {
  const time = START + seq * 1000
  const line = JSON.stringify({
    msg: 'ask',
    time: new Date(time).toISOString(),
    ...keys,
    instance: 'one',
    run: 'r',
    seq,
  })
  return { line, instance: 'one', run: 'r', seq, hash: String(seq), keys: { time, kind: 'ask', ...keys } }
}

async function withLines(lines: readonly AuditLine[]): Promise<TestDoor> {
  const door = await openTestDoor()
  await door.store.audit.insert(lines)
  return door
}

const seqs = (items: unknown) => (items as { seq: number }[]).map(({ seq }) => seq)

test('records are found by what they are about, newest first, a part at a time', async () => {
  const lines = Array.from({ length: 30 }, (_, at) =>
    lineOf(at + 1, { caller: at % 2 === 0 ? 'checkout' : 'other', connection: 'crm', host: 'api.crm.test' }),
  )
  const door = await withLines(lines)
  const one = await door.ask('GET', '/v1/audit?caller=checkout&limit=10', { as: 'viewer' })
  expect(seqs(one.json['items'])).toEqual([29, 27, 25, 23, 21, 19, 17, 15, 13, 11])
  const two = await door.ask('GET', `/v1/audit?caller=checkout&limit=10&cursor=${one.json['cursor']}`)
  expect(seqs(two.json['items'])).toEqual([9, 7, 5, 3, 1])
  expect(two.json['cursor']).toBeUndefined()
  const since = new Date(START + 28_000).toISOString()
  const until = encodeURIComponent('2026-06-01T02:00:30+02:00')
  expect(seqs((await door.ask('GET', `/v1/audit?since=${since}&until=${until}`)).json['items'])).toEqual([29, 28])
})

describe('by the instance of a problem', () => {
  const at = (time: number) => `${time.toString(16).padStart(12, '0').replace(/^.{8}/, '$&-')}-7abc-8def-0123456789ab`
  const withId = (id: string, seq: number, keys: Partial<AuditLine['keys']> = {}) => {
    const line = lineOf(seq, keys)
    return { ...line, line: JSON.stringify({ ...JSON.parse(line.line), msg: line.keys.kind, id }) }
  }
  const found = async (door: TestDoor, query: string) =>
    seqs((await door.ask('GET', `/v1/audit?${query}`, { as: 'viewer' })).json['items'])

  test('the one record is found, however many there are at that time', async () => {
    const lines = Array.from({ length: 1500 }, (_, seq) => lineOf(60 + (seq % 3), { caller: 'x' })).map((line, at) => ({
      ...line,
      seq: 1000 + at,
    }))
    const id = at(START + 61_000)
    const door = await withLines([...lines, withId(id, 61), withId(at(START + 61_001), 62)])
    expect(await found(door, `id=${id}`)).toEqual([61])
    expect(await found(door, `id=urn:uuid:${id.toUpperCase()}&limit=1`)).toEqual([61])
    expect(await found(door, `id=${id}&caller=checkout`)).toEqual([])
    expect(await found(door, `id=${id}&kind=change`)).toEqual([])
    expect(await found(door, `id=${at(START)}`)).toEqual([])
  })

  test('all that one request changed is found, which took its time', async () => {
    const id = at(START)
    const change = { kind: 'change' } as const
    const door = await withLines([withId(id, 20, change), withId(id, 21, change), withId(at(START + 1), 22, change)])
    expect(await found(door, `id=${id}`)).toEqual([21, 20])
  })

  test.each([
    ['of an older Sallyport', '0199c6e0-7c11-4d3e-9d27-5d2a4f0f8a11', 'others say no time'],
    ['that is none', 'abc', 'with or without "urn:uuid:"'],
  ])('an id %s is refused with what to do', async (_what, id, remedy) => {
    const door = await openTestDoor()
    const { status, json } = await door.ask('GET', `/v1/audit?id=${id}`)
    expect([status, json['errors']?.[0]]).toMatchObject([
      422,
      { pointer: 'id', detail: expect.stringContaining(remedy) },
    ])
  })

  test('what the admin door itself refuses is found', async () => {
    const door = await openTestDoor()
    const { json } = await door.ask('DELETE', '/v1/grants/none')
    const id = String(json['instance']).replace('urn:uuid:', '')
    expect(door.changes).toMatchObject([{ id, code: 'not-found' }])
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/)
  })
})

describe('by what report mode would have refused', () => {
  const waived = (seq: number, more: object) => {
    const line = lineOf(seq, { caller: 'checkout' })
    return { ...line, line: JSON.stringify({ ...JSON.parse(line.line), ...more }) }
  }
  const lines = [
    waived(1, { wouldRefuse: 'rule-not-matched' }),
    waived(2, { path: '/"wouldRefuse":"rule-not-matched"' }),
    waived(3, { wouldRefuse: 'grant-missing' }),
    waived(4, { wouldRefuse: 'rule-not-matched', code: 'upstream-timeout' }),
    ...Array.from({ length: 2000 }, (_, at) => lineOf(10 + at)),
    waived(5000, { wouldRefuse: 'rule-not-matched' }),
  ]

  test('records are found among all others, a part at a time', async () => {
    const door = await withLines(lines)
    const one = await door.ask('GET', '/v1/audit?wouldRefuse=rule-not-matched&limit=2', { as: 'viewer' })
    expect(seqs(one.json['items'])).toEqual([5000, 4])
    const two = await door.ask('GET', `/v1/audit?wouldRefuse=rule-not-matched&limit=2&cursor=${one.json['cursor']}`)
    expect([seqs(two.json['items']), two.json['cursor']]).toEqual([[1], undefined])
    const within = await door.ask('GET', `/v1/audit?wouldRefuse=rule-not-matched&caller=nobody`)
    expect(within.json['items']).toEqual([])
  })

  test('an answer that would have to read too much says where to go on', async () => {
    const origin = await withLines([])
    let read = 0
    const find = () => {
      read += 1000
      return Promise.resolve({ lines: [], cursor: read < 25_000 ? 'further' : undefined })
    }
    const store = Object.create(origin.store, { audit: { value: { find } } })
    const door = await openTestDoor({ over: { store } })
    const one = await door.ask('GET', '/v1/audit?wouldRefuse=grant-missing')
    expect([one.json, read]).toEqual([{ items: [], cursor: 'further' }, 20_000])
    const two = await door.ask('GET', '/v1/audit?wouldRefuse=grant-missing&cursor=further')
    expect([two.json, read]).toEqual([{ items: [] }, 25_000])
  })

  test.each(['wouldRefuse=%22', `wouldRefuse=grant-missing&id=0199c6e0-7c11-7d3e-9d27-5d2a4f0f8a11`])(
    '%s is refused',
    async (query) => {
      const door = await openTestDoor()
      const { status, json } = await door.ask('GET', `/v1/audit?${query}`)
      expect([status, json['errors']?.[0]]).toMatchObject([422, { pointer: 'wouldRefuse' }])
    },
  )
})

describe('by a trace', () => {
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
  const traced = (seq: number, more: object) => {
    const line = lineOf(seq, { caller: 'checkout' })
    return { ...line, line: JSON.stringify({ ...JSON.parse(line.line), ...more }) }
  }
  const lines = [
    traced(1, { traceId: trace }),
    traced(2, { path: `/"traceId":"${trace}"` }),
    traced(3, { traceId: trace.replace('4', '5') }),
    traced(4, { traceId: trace, wouldRefuse: 'grant-missing' }),
    ...Array.from({ length: 1500 }, (_, at) => lineOf(10 + at)),
    traced(5000, { traceId: trace }),
  ]

  test('asks of it are found among all others, a part at a time', async () => {
    const door = await withLines(lines)
    const one = await door.ask('GET', `/v1/audit?trace=${trace}&limit=2`, { as: 'viewer' })
    expect(seqs(one.json['items'])).toEqual([5000, 4])
    const two = await door.ask('GET', `/v1/audit?trace=${trace}&limit=2&cursor=${one.json['cursor']}`)
    expect([seqs(two.json['items']), two.json['cursor']]).toEqual([[1], undefined])
    const both = await door.ask('GET', `/v1/audit?trace=${trace}&wouldRefuse=grant-missing`)
    expect(seqs(both.json['items'])).toEqual([4])
  })

  test.each([
    `trace=${'0'.repeat(32)}`,
    'trace=4BF92F3577B34DA6A3CE929D0E0E4736',
    'trace=4bf9',
    `trace=${trace}&id=0199c6e0-7c11-7d3e-9d27-5d2a4f0f8a11`,
  ])('%s is refused', async (query) => {
    const door = await openTestDoor()
    const { status, json } = await door.ask('GET', `/v1/audit?${query}`)
    expect([status, json['errors']?.[0]]).toMatchObject([422, { pointer: 'trace' }])
  })
})

test.each(['x', '!', 'k'.repeat(1000)])('a cursor like %j is refused', async (cursor) => {
  const door = await openTestDoor()
  const { status, json } = await door.ask('GET', `/v1/audit?cursor=${cursor}`)
  expect([status, json['errors']?.[0]]).toMatchObject([422, { pointer: 'cursor' }])
})

test('a blast radius is every request that spent a credential, or any of a secret', async () => {
  const door = await withLines([
    lineOf(1, { fingerprint: 'f1', secret: 'file:crm@3', caller: 'a' }),
    lineOf(2, { fingerprint: 'f2', secret: 'file:crm@3', caller: 'b' }),
    lineOf(3, { fingerprint: 'f3', secret: 'file:crm@4', caller: 'c' }),
  ])
  const ask = async (query: string) => seqs((await door.ask('GET', `/v1/audit/blast-radius?${query}`)).json['items'])
  expect(await ask('fingerprint=f2')).toEqual([2])
  expect(await ask('secret=file:crm@3')).toEqual([2, 1])
  const { json } = await door.ask('GET', '/v1/audit/blast-radius?secret=file:crm@3&limit=1')
  expect(json['summary']).toMatchObject({
    requests: 2,
    firstAt: new Date(START + 1000).toISOString(),
    callers: expect.arrayContaining([{ name: 'a', count: 1 }]),
    fingerprints: expect.arrayContaining([{ name: 'f2', count: 1 }]),
    secrets: [{ name: 'file:crm@3', count: 2 }],
  })
  const rest = await door.ask('GET', `/v1/audit/blast-radius?secret=file:crm@3&limit=1&cursor=${json['cursor']}`)
  expect(seqs(rest.json['items'])).toEqual([1])
  expect(rest.json).not.toHaveProperty('summary')
  for (const query of ['', 'fingerprint=a&secret=b@1', 'secret=crm'])
    expect((await door.ask('GET', `/v1/audit/blast-radius?${query}`)).status).toBe(422)
})

test('an export has every line to the byte, oldest first, however many', async () => {
  const lines = Array.from({ length: 2500 }, (_, at) => lineOf(at + 1))
  const door = await withLines(lines)
  const { text, headers } = await door.ask('GET', '/v1/audit/export', { as: 'viewer' })
  expect(headers['content-type']).toBe('application/x-ndjson')
  expect(text).toBe(lines.map(({ line }) => `${line}\n`).join(''))
  const empty = await door.ask('GET', '/v1/audit/export?caller=nobody')
  expect([empty.status, empty.text]).toEqual([200, ''])
})

test('an export of everything is in the order of the chain: what took longer began before what is above it', async () => {
  const [slow, quick, last] = [lineOf(2), lineOf(1), lineOf(3)]
  const swapped = { ...slow, keys: { ...slow.keys, time: quick.keys.time - 1 } }
  const door = await withLines([quick, swapped, last])
  const { text } = await door.ask('GET', '/v1/audit/export')
  expect(
    seqs(
      text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ),
  ).toEqual([1, 2, 3])
  const some = await door.ask('GET', '/v1/audit/export?kind=ask')
  expect(
    seqs(
      some.text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ),
  ).toEqual([2, 1, 3])
})

test.each(['walk', 'find'] as const)(
  'an export that the store breaks off (%s) does not look whole',
  async (reading) => {
    const origin = await withLines(Array.from({ length: 2500 }, (_, at) => lineOf(at + 1)))
    let pages = 0
    const audit = Object.create(origin.store.audit, {
      [reading]: {
        value: (...asked: [never, never]) =>
          ++pages === 2 ? Promise.reject(new StoreError('lost', 'gone')) : origin.store.audit[reading](...asked),
      },
    })
    const store = Object.create(origin.store, { audit: { value: audit } })
    const door = await openTestDoor({ over: { store } })
    const response = await new Promise<http.IncomingMessage>((resolve) =>
      http.get(
        `http://${door.address}/v1/audit/export${reading === 'find' ? '?kind=ask' : ''}`,
        { agent: false, headers: { Authorization: `Bearer ${door.keys.viewer}` } },
        resolve,
      ),
    )
    await expect(text(response)).rejects.toThrow(/aborted/)
  },
)

test('a store that is lost is told as that', async () => {
  const lost = () => Promise.reject(new StoreError('lost', 'gone'))
  const audit = { find: lost, walk: lost }
  const faults: string[] = []
  const origin = await openTestDoor()
  const store = Object.create(origin.store, { audit: { value: audit } })
  const door = await openTestDoor({ over: { store, onFault: (id) => faults.push(id) } })
  for (const path of ['/v1/audit', '/v1/audit/export']) {
    const { status, json } = await door.ask('GET', path)
    expect([status, json['code']]).toEqual([503, 'store-lost'])
    expect(json['instance']).toBe(`urn:uuid:${faults.at(-1)}`)
  }
})

test('what could not be recorded is not done', async () => {
  const door = await openTestDoor({ over: { isAuditFull: () => true } })
  const { status, json } = await door.ask('POST', '/v1/callers', { body: { name: 'billing' } })
  expect([status, json['code']]).toEqual([503, 'audit-full'])
  expect(door.store.holdings().callers).toEqual([])
  expect((await door.ask('GET', '/v1/callers')).status).toBe(200)
})

test('an inventory says who holds what, and whether it is used', async () => {
  const now = Date.UTC(2026, 5, 30)
  const door = await openTestDoor({
    over: {
      clock: { now: () => now },
      inventoryFacts: () =>
        Promise.resolve({
          connections: [{ name: 'crm', source: 'static', secrets: ['file:crm'], isDisabled: false }],
          secrets: [{ name: 'file:crm', since: now - 100 * 86_400_000 }],
        }),
    },
  })
  await door.store.audit.insert(
    [1, 2].map((seq) => {
      const keys = { caller: 'checkout', connection: 'crm', grant: 'grants[0]' }
      const line = JSON.stringify({ ...JSON.parse(lineOf(seq, keys).line), decision: 'permit' })
      return { ...lineOf(seq, keys), line }
    }),
  )
  const { json } = await door.ask('GET', '/v1/inventory', { as: 'viewer' })
  const lastUsedAt = '2026-06-01T00:00:02.000Z'
  expect(json['items']).toMatchObject([
    { id: 'grants[0]', count: 2, lastUsedAt, usedBy: [{ caller: 'checkout', count: 2, lastUsedAt }], isUnused: false },
    { id: 'grants[1]', count: 0, usedBy: [], isUnused: true, isExpired: true },
  ])
  expect(json['items']?.[1]).not.toHaveProperty('lastUsedAt')
  const secret = { name: 'file:crm', connections: ['crm'], ageMs: 100 * 86_400_000, isStatic: true, lastUsedAt }
  expect(json['secrets']).toEqual([{ ...secret, isOld: true }])
  const later = await door.ask('GET', '/v1/inventory?oldAfterDays=101')
  expect(later.json['secrets']).toEqual([{ ...secret, isOld: false }])
})

test('whoever fills the audit does not keep what it has: what takes away is done, and recorded when there is room', async () => {
  let isFull = false
  const door = await openTestDoor({ over: { isAuditFull: () => isFull } })
  const name = 'billing'
  await door.ask('POST', '/v1/callers', { body: { name } })
  const { json } = await door.ask('POST', '/v1/grants', { body: { caller: name, connection: 'crm' } })
  isFull = true
  const statuses: number[] = []
  for (const [method, path, body] of [
    ['POST', '/v1/grants', { caller: name, connection: 'crm' }],
    ['POST', '/v1/connections/crm/enable', undefined],
    ['DELETE', `/v1/grants/${json['id']}`, undefined],
    ['POST', '/v1/connections/crm/disable', undefined],
    ['DELETE', `/v1/callers/${name}`, undefined],
  ] as const)
    statuses.push((await door.ask(method, path, { body })).status)
  expect(statuses).toEqual([503, 503, 204, 200, 200])
  expect(door.changes.map(({ action }) => action).slice(2)).toEqual([
    'grant.remove',
    'connection.disable',
    'caller.remove',
  ])
})

test('from the end of the audit on nothing is changed at all', async () => {
  const door = await openTestDoor({ over: { isAuditFull: () => true, isReady: () => false } })
  const { status, json } = await door.ask('POST', '/v1/connections/crm/disable')
  expect([status, json['code']]).toEqual([503, 'audit-full'])
})

test('where the store is no sink of the audit, nobody is told that nothing has happened', async () => {
  const door = await openTestDoor({ over: { isAuditStored: false } })
  const since = '2026-01-01T00:00:00Z'
  for (const [method, path, body] of [
    ['GET', '/v1/audit', undefined],
    ['GET', '/v1/audit/blast-radius?secret=crm@1', undefined],
    ['GET', '/v1/audit/export', undefined],
    ['GET', '/v1/audit/misfiled', undefined],
    ['GET', '/v1/inventory', undefined],
    ['GET', `/v1/policy/suggest?since=${since}`, undefined],
    ['POST', '/v1/policy/replay', { candidate: 'x', since }],
  ] as const) {
    const { status, json } = await door.ask(method, path, { body })
    expect([path, status, json['code']]).toEqual([path, 409, 'audit-elsewhere'])
    expect(json['detail']).toContain('{ kind: store }')
  }
  // What operators change needs no more than a store.
  expect((await door.ask('POST', '/v1/connections/crm/disable')).status).toBe(200)
})
