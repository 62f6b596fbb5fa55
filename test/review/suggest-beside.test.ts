import { describe, expect, test } from 'vitest'
import type { Recorded } from '../../src/review/recorded.ts'
import { replay } from '../../src/review/replay.ts'
import { suggest } from '../../src/review/suggest.ts'
import type { Aim } from '../../src/review/suggestion.ts'
import { suggestionYaml } from '../../src/review/suggestion-yaml.ts'
import { amend } from '../../src/settings/amend.ts'
import { DOOR, settingsFile } from '../support/settings-file.ts'
import { entry } from './entries.ts'
import { candidateIn, presentOf } from './present.ts'

/** What is suggested beside, or in place of, what is there: each as an operator would try it, by a replay of the whole. */
const SETTINGS = `ca: ephemeral
allowlist: [ api.crm.test, "*.files.test", passed.test ]
callers:
  checkout: { kind: api-key, key: { env: A } }
  ci: { kind: jwt, issuer: "https://issuer.test", audience: a, name: "ci/{sub}" }
connections:
  crm: { hosts: [ api.crm.test ], credential: { kind: static, secret: { env: SECRET } } }
  files: { hosts: [ "*.files.test" ], credential: { kind: none } }
  passed: { hosts: [ passed.test ], port: 8443, credential: { kind: none }, connect: tunnel }
  shut: { hosts: [ shut.test ], basePath: /v1, credential: { kind: none }, connect: refuse }
grants:
  - { group: west, connection: crm, until: 2099-01-01T00:00:00Z }
  - { caller: checkout, connection: files, rules: [ { methods: [ GET ] } ], until: 2026-01-01T00:00:00Z }
`
const BARE = { connection: undefined, credential: undefined } as const
const REFUSED = { ...BARE, decision: 'refuse' } as const

async function tried(entries: readonly Recorded[], aim: Aim) {
  const suggestion = suggest(entries, await presentOf(SETTINGS), aim)
  const whole = amend(DOOR + SETTINGS, suggestionYaml(suggestion), { isAddition: aim === 'refused' })
  const { newlyDenied, newlyAllowed } = replay(entries, await candidateIn(await settingsFile(whole)))
  return { suggestion, whole, denied: newlyDenied, allowed: newlyAllowed }
}

test('what a group has until then is not given to its members for good', async () => {
  const { suggestion, denied } = await tried([entry({ caller: 'ci/a', proof: 'jwt', groups: ['west'] })], 'passed')
  expect(suggestion.grants).toMatchObject([
    { group: 'west', connection: 'crm', until: Date.parse('2099-01-01'), rules: [{ methods: ['GET'] }] },
  ])
  expect(denied).toEqual([])
})

test('what the store grants stays in the store, and out of the settings', async () => {
  const grant = { id: '01a0', holder: { caller: 'checkout' }, connection: 'crm', rules: [] } as const
  const present = await presentOf(SETTINGS, { grants: [grant], disabled: new Set() })
  expect(suggest([entry()], present)).toMatchObject({ grants: [], missing: [], allowlist: ['api.crm.test'] })
})

describe('of what was refused', () => {
  test.each<[string, Partial<Recorded>, string]>([
    ['a grant', { code: 'grant-missing', connection: 'crm' }, 'USE CONNECTION on crm (crm injects a credential)'],
    [
      'a grant that ended',
      { code: 'grant-expired', host: 'a.files.test', connection: 'files' },
      'expired at 2026-01-01',
    ],
    ['a connection', { code: 'connection-missing', host: 'cdn.test' }, 'no connection names cdn.test'],
    ['a connection at a port', { code: 'host-not-allowed', host: 'cdn.test', port: 8443 }, 'cdn.test is not on the'],
    ['a host of a connection', { code: 'host-not-allowed', host: 'shut.test', path: '/v1/a' }, 'shut.test is not on'],
  ])('what lacked %s passes by it, and it says so', async (_what, terms, missing) => {
    const { suggestion, denied, allowed } = await tried([entry({ ...REFUSED, ...terms })], 'refused')
    expect(suggestion.missing.join('\n')).toContain(missing)
    expect([denied.length, allowed.length]).toEqual([0, 1])
  })

  test.each<[string, Partial<Recorded>, string]>([
    ['port-not-allowed', { port: 22, connection: 'crm' }, 'name the port of the connection'],
    ['path-not-allowed', { host: 'shut.test', path: '/v2', connection: 'shut' }, 'below the base path'],
    ['connect-refused', { host: 'shut.test', method: 'CONNECT', port: 443, path: undefined }, 'cures connect-refused'],
    ['address-not-allowed', { host: 'cdn.test', decision: 'permit', wouldRefuse: 'host-not-allowed' }, 'allowPrivate'],
    ['upstream-unresolved', { host: 'cdn.test', decision: 'permit', wouldRefuse: 'host-not-allowed' }, 'dns.hosts'],
    ['host-not-allowed', { host: '[fd00::1]' }, 'no allowlist can name it'],
    ['host-not-allowed', { host: '10.0.0.7' }, 'no allowlist can name it'],
    ['connection-missing', { host: 'cdn.test', port: 80 }, 'plain HTTP'],
    ['connection-missing', { host: 'cdn.test', connection: 'old' }, 'was reached by old'],
    ['caller-unknown', { caller: undefined, proof: undefined }, 'Show the caller key'],
    ['connection-unknown', { door: 'reverse unix:a.sock', host: undefined }, 'cures connection-unknown'],
  ])('what no grant or connection cures (%s) gets none, and is told with what would', async (code, terms, note) => {
    const { suggestion } = await tried([entry({ ...REFUSED, code, ...terms })], 'refused')
    expect(suggestion).toMatchObject({ connections: [], grants: [], allowlist: [] })
    expect(suggestion.notes.join('\n')).toContain(note)
  })

  test('a tunnel that is read may be opened, and nothing asked in it; what is asked is known after that', async () => {
    const connect = { method: 'CONNECT', path: undefined, port: 443, code: 'grant-missing' } as const
    const { suggestion, allowed } = await tried([entry({ ...REFUSED, ...connect, connection: 'crm' })], 'refused')
    expect(suggestion.grants).toMatchObject([{ caller: 'checkout', rules: [{ methods: ['CONNECT'] }] }])
    expect(allowed).toHaveLength(1)
  })

  test('a tunnel that nobody reads has no rules, to a connection that is there and to a new one', async () => {
    const connect = { method: 'CONNECT', path: undefined, code: 'grant-missing' } as const
    const entries = [
      entry({ ...REFUSED, ...connect, host: 'passed.test', port: 8443 }),
      entry({ ...REFUSED, ...connect, host: 'new.test', port: 443, code: 'host-not-allowed' }),
    ]
    const { suggestion, allowed } = await tried(entries, 'refused')
    expect(suggestion.connections).toMatchObject([{ host: 'new.test', isTunnelled: true }])
    expect(suggestion.grants.map(({ rules }) => rules)).toEqual([undefined, undefined])
    expect(allowed).toHaveLength(2)
  })

  test('what passed is left as it is', async () => {
    const passed = entry({ caller: 'ci/a', proof: 'jwt', groups: ['west'] })
    const { suggestion, whole } = await tried([passed], 'refused')
    expect(suggestion).toMatchObject({ asks: 0, grants: [], allowlist: [] })
    expect(whole).toContain('- { group: west, connection: crm, until: 2099-01-01T00:00:00Z }')
  })
})

test('two hosts that make one name make two connections', async () => {
  const hosts = [
    '_odd.test',
    'odd.test',
    `${'a'.repeat(60)}.${'b'.repeat(60)}.x.test`,
    `${'a'.repeat(60)}.${'b'.repeat(60)}.y.test`,
  ]
  const { suggestion, denied } = await tried(
    hosts.map((host) => entry({ ...BARE, host })),
    'passed',
  )
  expect(new Set(suggestion.connections.map(({ name }) => name)).size).toBe(4)
  expect(denied).toEqual([])
})

test('many names of a wildcard are the wildcard; few of them are themselves', async () => {
  const asked = (count: number) =>
    Array.from({ length: count }, (_, at) => entry({ ...BARE, host: `h${at}.files.test` }))
  expect((await tried(asked(9), 'passed')).suggestion.allowlist).toEqual(['*.files.test'])
  expect((await tried(asked(2), 'passed')).suggestion.allowlist).toEqual(['h0.files.test', 'h1.files.test'])
})

test('a caller that makes up hosts does not fill the settings: what is too much is named', async () => {
  const entries = Array.from({ length: 3_000 }, (_, at) => entry({ ...BARE, host: `h${at}.made-up.test` }))
  const { suggestion } = await tried(entries, 'passed')
  expect([suggestion.connections.length, suggestion.allowlist.length]).toEqual([1_000, 1_000])
  expect(suggestion.notes.join('\n')).toContain('more than 1000 hosts without a connection')
})
