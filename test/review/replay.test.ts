import { describe, expect, test } from 'vitest'
import type { Recorded } from '../../src/review/recorded.ts'
import { parseRecorded } from '../../src/review/recorded.ts'
import { replay } from '../../src/review/replay.ts'
import { loadSettings } from '../../src/settings/load.ts'
import { compilePolicy } from '../../src/settings/policy.ts'
import { DOOR, settingsFile } from '../support/settings-file.ts'
import { entry } from './entries.ts'

const CONNECTIONS = `callers: { checkout: { kind: api-key, key: { env: KEY } } }
ca: ephemeral
connections:
  crm: { hosts: [ api.crm.test ], credential: { kind: static, secret: { env: SECRET } } }
  maps: { hosts: [ maps.test ], credential: { kind: none } }
  passed: { hosts: [ passed.test ], port: 8443, credential: { kind: none }, connect: tunnel }
`

async function replayed(
  entries: readonly Recorded[],
  grants: string,
  allowlist = 'api.crm.test, maps.test, passed.test',
) {
  const file = await settingsFile(`${DOOR}${CONNECTIONS}allowlist: [ ${allowlist} ]\ngrants: [ ${grants} ]\n`)
  const { settings } = await loadSettings(file)
  return replay(entries, { policy: compilePolicy(settings), injecting: new Set(['crm']), ceilingOf: () => undefined })
}

const CRM = '{ caller: checkout, connection: crm }'
const REFUSED = { decision: 'refuse', credential: undefined } as const

test('what would be decided alike is told by its number alone', async () => {
  const entries = [entry(), entry({ ...REFUSED, code: 'grant-missing', connection: 'maps', host: 'maps.test' })]
  expect(await replayed(entries, CRM)).toEqual({
    newlyDenied: [],
    newlyAllowed: [],
    newlyCredentialed: [],
    replayed: 2,
    skipped: 0,
  })
})

test('alike asks are one row, with a count and the first of them for an example; the most frequent come first', async () => {
  const [first, ...others] = [7, 8, 9].map((id) => entry({ path: `/v1/contacts/${id}` }))
  const { newlyDenied } = await replayed([entry({ method: 'PUT' }), first ?? entry(), ...others], '')
  expect(newlyDenied.map(({ method, path, count }) => [method, path, count])).toEqual([
    ['GET', '/v1/contacts/*', 3],
    ['PUT', '/v1/contacts/*', 1],
  ])
  expect(newlyDenied[0]).toMatchObject({
    caller: 'checkout',
    connection: 'crm',
    host: 'api.crm.test',
    code: 'grant-missing',
    reason: 'checkout does not have USE CONNECTION on crm',
    example: { id: first?.id, path: '/v1/contacts/7' },
  })
})

test('the port that was asked for has its say', async () => {
  const crm = await replayed([entry({ port: 8443 }), entry({ port: 443 })], CRM)
  expect(crm.newlyDenied).toMatchObject([{ code: 'port-not-allowed', count: 1 }])
  const connect = { method: 'CONNECT', host: 'passed.test', path: undefined, connection: 'passed', ...REFUSED } as const
  const grants = '{ caller: checkout, connection: passed }'
  const before = { code: 'port-not-allowed' } as const
  const passed = await replayed(
    [
      { ...entry({ ...connect, ...before }), port: 8443 },
      { ...entry({ ...connect, ...before }), port: 22 },
    ],
    grants,
  )
  expect(passed.newlyAllowed).toMatchObject([{ host: 'passed.test', count: 1 }])
})

describe('newly', () => {
  test.each<[string, Partial<Recorded>, string, readonly string[]]>([
    ['denied: let through, and refused now', {}, '', ['newlyDenied']],
    [
      'denied: a grant that had ended by then',
      {},
      '{ caller: checkout, connection: crm, until: 2026-11-22T10:00:00Z }',
      ['newlyDenied'],
    ],
    [
      'nothing: a grant that has ended since',
      {},
      '{ caller: checkout, connection: crm, until: 2026-11-22T10:00:01Z }',
      [],
    ],
    [
      'denied: what report mode let by',
      { wouldRefuse: 'host-not-allowed', host: 'other.test', connection: undefined },
      '',
      ['newlyDenied'],
    ],
    ['allowed and credentialed', { ...REFUSED, code: 'grant-missing' }, CRM, ['newlyAllowed', 'newlyCredentialed']],
    [
      'allowed',
      { ...REFUSED, code: 'grant-missing', host: 'maps.test' },
      '{ caller: checkout, connection: maps }',
      ['newlyAllowed'],
    ],
    ['credentialed: let out bare', { connection: undefined, credential: undefined }, CRM, ['newlyCredentialed']],
    [
      'credentialed: let out bare, and not reached',
      { connection: undefined, credential: undefined, code: 'address-not-allowed' },
      CRM,
      ['newlyCredentialed'],
    ],
    ['nothing: no credential could be had', { credential: undefined, code: 'credential-unavailable' }, CRM, []],
    [
      'allowed by a group',
      { ...REFUSED, code: 'grant-missing', groups: ['west'] },
      '{ group: west, connection: crm }',
      ['newlyAllowed', 'newlyCredentialed'],
    ],
    [
      'denied: a tunnel',
      { method: 'CONNECT', path: undefined, host: 'passed.test', connection: 'passed', tunnel: 'unopened' },
      '',
      ['newlyDenied'],
    ],
    [
      'nothing: a tunnel',
      { method: 'CONNECT', path: undefined, host: 'passed.test', tunnel: 'unopened' },
      '{ caller: checkout, connection: passed }',
      [],
    ],
    ['nothing: by a reverse door', { door: 'reverse unix:crm.sock', host: 'api.crm.test' }, CRM, []],
  ])('%s', async (_what, terms, grants, kinds) => {
    const result = await replayed([entry(terms)], grants)
    const found = (['newlyDenied', 'newlyAllowed', 'newlyCredentialed'] as const).filter(
      (kind) => result[kind].length > 0,
    )
    expect([found, result.replayed]).toEqual([kinds, 1])
  })
})

test.each<[string, Partial<Recorded>]>([
  ['an unknown caller', { ...REFUSED, code: 'caller-unknown', caller: undefined, proof: undefined }],
  ['a malformed request', { ...REFUSED, code: 'request-malformed' }],
  ['too many requests', { ...REFUSED, code: 'too-many-requests' }],
  ['a target that nobody could read', { ...REFUSED, code: 'host-not-allowed', host: undefined }],
])('%s says nothing of a policy', async (_what, terms) => {
  expect(await replayed([entry(terms)], CRM)).toMatchObject({ replayed: 0, skipped: 1 })
})

test('a line of the audit is an ask, or something else', () => {
  const line = JSON.stringify({ msg: 'ask', ...entry() })
  expect(parseRecorded(line)).toMatchObject({ caller: 'checkout', path: '/v1/contacts/7' })
  for (const other of ['', '{', 'null', '7', '{"msg":"change"}', '{"msg":"ask"}', line.replace('"ask"', '"start"')]) {
    expect(parseRecorded(other)).toBeUndefined()
  }
})

test('of more paths than anybody reads, one row stands for the rest, and the count stays whole', async () => {
  const entries = Array.from({ length: 3_000 }, (_, at) => entry({ path: `/${word(at)}` }))
  const { newlyDenied, replayed: all } = await replayed(entries, '')
  expect([newlyDenied.length, all]).toEqual([2_001, 3_000])
  expect(newlyDenied[0]).toMatchObject({ path: '/**', count: 1_000 })
})

/** Of letters alone: what has digits is an id. */
function word(at: number): string {
  return String(at).replace(/\d/g, (digit) => 'abcdefghij'[Number(digit)] ?? '')
}
