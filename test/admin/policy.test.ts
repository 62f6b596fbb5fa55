import { expect, test } from 'vitest'
import { CandidateError, type PolicyHistory } from '../../src/admin/policy-history.ts'
import type { Shift } from '../../src/review/replay.ts'
import { openTestDoor } from './door.ts'

const SINCE = '2026-06-01T00:00:00+02:00'

/** What is asked of the past, and an answer to it. */
function pastOf(answer: Partial<PolicyHistory>) {
  const history: PolicyHistory = {
    replay: () => Promise.reject(new Error('not asked here')),
    suggest: () => Promise.reject(new Error('not asked here')),
    ...answer,
  }
  return openTestDoor({ over: { history } })
}

test('a replay is asked with the candidate and the time, and told whole', async () => {
  const shift: Shift = {
    caller: 'checkout',
    connection: 'crm',
    host: 'api.crm.test',
    method: 'GET',
    path: '/v1/*',
    count: 7,
    reason: 'no rule of grant grants[0] lets GET through to this path',
    code: 'rule-not-matched',
    example: { time: '2026-06-02T00:00:00.000Z', id: 'abc', path: '/v1/7' },
  }
  const tunnel = { ...shift, method: 'CONNECT', path: undefined, connection: undefined, code: undefined }
  const found = { newlyDenied: [shift], newlyAllowed: [tunnel], newlyCredentialed: [], replayed: 9, skipped: 1 }
  const asked: unknown[] = []
  const door = await pastOf({
    replay: (...all) => {
      asked.push(all)
      return Promise.resolve(found)
    },
  })
  const body = { candidate: 'allowlist: []', since: SINCE }
  const { json } = await door.ask('POST', '/v1/policy/replay', { as: 'viewer', body })
  expect(asked).toEqual([['allowlist: []', Date.parse(SINCE)]])
  expect(json).toEqual(JSON.parse(JSON.stringify(found)))
  expect(door.changes).toEqual([])
})

test('a candidate that is wrong is refused with all its faults', async () => {
  const faults = ['1:1 colour: unknown key', '2:3 grants[0].caller: use the name of a caller: checkout']
  const door = await pastOf({ replay: () => Promise.reject(new CandidateError(faults)) })
  const { status, json } = await door.ask('POST', '/v1/policy/replay', {
    body: { candidate: 'colour: red', since: SINCE },
  })
  expect(status).toBe(422)
  expect(json['errors']).toEqual(faults.map((detail) => ({ pointer: '#/candidate', detail })))
})

test('a suggestion is asked with the time', async () => {
  const door = await pastOf({ suggest: (since) => Promise.resolve({ yaml: `# since ${since}\n`, asks: 3 }) })
  const { json } = await door.ask('GET', `/v1/policy/suggest?since=${encodeURIComponent(SINCE)}`, { as: 'viewer' })
  expect(json).toEqual({ yaml: `# since ${Date.parse(SINCE)}\n`, asks: 3 })
})

test('what nobody foresaw is told as that, without its words, and the log has the rest', async () => {
  const told: unknown[] = []
  const history = {
    replay: () => Promise.reject(new Error('a path of this machine')),
    suggest: () => Promise.reject(new Error('a path of this machine')),
  }
  const door = await openTestDoor({ over: { history, onFault: (...all) => told.push(all) } })
  const { status, json, text } = await door.ask('GET', `/v1/policy/suggest?since=2026-01-01T00:00:00Z`)
  expect([status, json['code']]).toEqual([500, 'internal-error'])
  expect(text).not.toContain('a path of this machine')
  expect(told).toMatchObject([
    [String(json['instance']).replace('urn:uuid:', ''), { message: 'a path of this machine' }],
  ])
})

test('without a past to look at, the remedy is told', async () => {
  const door = await openTestDoor()
  for (const answer of [
    await door.ask('GET', '/v1/policy/suggest?since=2026-01-01T00:00:00Z'),
    await door.ask('POST', '/v1/policy/replay', { body: { candidate: 'x', since: SINCE } }),
  ])
    expect([answer.status, answer.json['code']]).toEqual([409, 'store-missing'])
})
