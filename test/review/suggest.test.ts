import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Recorded } from '../../src/review/recorded.ts'
import { replay } from '../../src/review/replay.ts'
import { suggest } from '../../src/review/suggest.ts'
import { suggestionYaml } from '../../src/review/suggestion-yaml.ts'
import { loadSettings } from '../../src/settings/load.ts'
import { compilePolicy } from '../../src/settings/policy.ts'
import { DOOR, settingsFile } from '../support/settings-file.ts'
import { entry } from './entries.ts'
import { presentOf } from './present.ts'

const CALLERS =
  'callers: { checkout: { kind: api-key, key: { env: A } }, reporting: { kind: api-key, key: { env: B } } }\n'
const CRM = '  crm: { hosts: [ api.crm.test ], credential: { kind: static, secret: { env: SECRET } } }\n'

/** Settings with `crm` alone, and nothing granted. */
const PRESENT = await presentOf(`${CALLERS}connections:\n${CRM}`)

function yamlOf(entries: readonly Recorded[]): string {
  return suggestionYaml(suggest(entries, PRESENT))
}

/** As an operator would paste it: connections beside those that are there. */
async function settingsWith(yaml: string) {
  const [before = '', own = ''] = yaml.split('connections:\n')
  const pasted = own === '' ? `${yaml}connections:\n${CRM}` : `${before}connections:\n${CRM}${own}`
  return loadSettings(await settingsFile(DOOR + CALLERS + pasted))
}

test('a connection that it suggests has the port that was asked for, and there is but one', () => {
  const bare = {
    connection: undefined,
    credential: undefined,
    wouldRefuse: 'host-not-allowed',
    host: 'cdn.test',
  } as const
  const { connections, notes } = suggest([entry({ ...bare, port: 8443 }), entry({ ...bare, port: 443 })], PRESENT)
  expect(connections).toMatchObject([{ host: 'cdn.test', port: 8443 }])
  expect(notes).toEqual(['cdn.test is asked for at port 443, too: a connection has one port'])
  expect(yamlOf([entry({ ...bare, port: 8443 })])).toContain(
    '"cdn.test": { hosts: ["cdn.test"], port: 8443, credential: { kind: none } }',
  )
})

test('says the least that the traffic needs, as settings', () => {
  const entries = [
    entry({ path: '/v1/contacts/7' }),
    entry({ path: '/v1/contacts/8', time: '2026-11-23T10:00:00.000Z' }),
    entry({ path: '/v1/contacts/8', method: 'HEAD' }),
    entry({ path: '/v1/notes', method: 'POST' }),
    entry({ path: '/v1/contacts/7', caller: 'reporting' }),
    entry({ decision: 'refuse', code: 'host-not-allowed', host: 'evil.test' }),
    entry({
      host: 'cdn.test',
      connection: undefined,
      credential: undefined,
      wouldRefuse: 'host-not-allowed',
      path: '/a.js',
    }),
    entry({ host: '203.0.113.7', connection: undefined, wouldRefuse: 'host-not-allowed' }),
    entry({ path: '/v1//x' }),
  ]
  expect(
    yamlOf(entries),
  ).toBe(`# What 8 asks from 2026-11-22T10:00:00.000Z to 2026-11-23T10:00:00.000Z needed. Queries are not recorded, so nothing here is about them.
# Missing today: "api.crm.test is not on the allowlist, and crm injects a credential there"
# Missing today: "cdn.test is not on the allowlist"
# Missing today: "no connection names cdn.test"
# Missing today: "checkout does not have USE CONNECTION on crm (crm injects a credential)"
# Missing today: "reporting does not have USE CONNECTION on crm (crm injects a credential)"
# Not in here: "checkout asks for 203.0.113.7, which is an address: no allowlist can name it"
# Not in here: "checkout asks api.crm.test for GET /v1//x, which no rule can name"
allowlist:
  - "api.crm.test"
  - "cdn.test"
# Beside those that are there. What went out as plain HTTP goes as verified HTTPS by these.
connections:
  "cdn.test": { hosts: ["cdn.test"], credential: { kind: none } }
grants:
  - caller: "checkout"
    connection: "crm"
    rules:
      - methods: ["GET", "HEAD"]
        paths:
          - "/v1/contacts/*"
      - methods: ["POST"]
        paths:
          - "/v1/notes"
  - caller: "checkout"
    connection: "cdn.test"
    rules:
      - methods: ["GET"]
        paths:
          - "/a.js"
  - caller: "reporting"
    connection: "crm"
    rules:
      - methods: ["GET"]
        paths:
          - "/v1/contacts/*"
`)
})

test('of nothing it suggests nothing', async () => {
  expect(yamlOf([])).toMatch(/^# What 0 asks needed\..*\nallowlist: \[\]\ngrants: \[\]\n$/)
  expect((await settingsWith(yamlOf([]))).settings.grants).toEqual([])
})

test('a tunnel that passes unopened has no rules, and a new connection to it says so', async () => {
  const tunnel = { method: 'CONNECT', path: undefined, tunnel: 'unopened', credential: undefined } as const
  const { connections, grants } = suggest(
    [
      entry({ ...tunnel, host: 'git.test', connection: undefined }),
      entry({ ...tunnel, host: 'passed.test', connection: 'passed' }),
    ],
    await presentOf(
      CALLERS + 'connections: { passed: { hosts: [ passed.test ], credential: { kind: none }, connect: tunnel } }\n',
    ),
  )
  expect(connections).toEqual([{ name: 'git.test', host: 'git.test', port: undefined, isTunnelled: true }])
  expect(grants).toEqual([
    { caller: 'checkout', connection: 'git.test', rules: undefined },
    { caller: 'checkout', connection: 'passed', rules: undefined },
  ])
})

test('a path at a reverse door is judged below the base path of its connection', async () => {
  const present = await presentOf(
    CALLERS + 'connections: { crm: { hosts: [ api.crm.test ], basePath: /v1, credential: { kind: none } } }\n',
  )
  const { grants } = suggest([entry({ door: 'reverse unix:crm.sock', path: '/contacts/7' })], present)
  expect(grants[0]?.rules).toEqual([{ methods: ['GET'], paths: ['/v1/contacts/*'] }])
})

test('a new connection takes no name that is taken', async () => {
  const bare = entry({ host: 'cdn.test', connection: undefined })
  const present = await presentOf('connections: { cdn.test: { hosts: [ other.test ], credential: { kind: none } } }\n')
  expect(suggest([bare], present).connections).toMatchObject([{ name: 'cdn.test-2' }])
})

test('whatever was recorded, the suggestion is right settings that let all of it through, but for what it names', async () => {
  const segment = fc.oneof(
    fc.stringMatching(/^[!-.0->@-~]{0,5}$/),
    fc.constantFrom('7', 'users', '**', '%2e%2e', '"', "'", '#'),
  )
  const path = fc
    .array(segment, { minLength: 1, maxLength: 4 })
    .map((all) => `/${all.join('/')}`)
    .filter((one) => !/[?#]/.test(one))
  const hosts = fc.constantFrom<Partial<Recorded>>(
    {},
    { host: 'cdn.test', connection: undefined, credential: undefined },
    { host: '_odd.crm.test', connection: undefined, credential: undefined },
  )
  const asks = fc.record({
    method: fc.constantFrom('GET', 'POST', 'M-SEARCH'),
    caller: fc.constantFrom('checkout', 'reporting'),
    path,
  })
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(asks, hosts), { maxLength: 30 }), async (rows) => {
      const entries = rows.map(([ask, host]) => entry({ ...ask, ...host }))
      const suggestion = suggest(entries, PRESENT)
      const { settings } = await settingsWith(suggestionYaml(suggestion))
      const { newlyDenied } = replay(entries, {
        policy: compilePolicy(settings),
        injecting: new Set(['crm']),
        ceilingOf: () => undefined,
      })
      const isNamed = ({ method, example }: (typeof newlyDenied)[number]) =>
        suggestion.notes.some((note) => note.includes(` ${method} ${example.path}, which no rule can name`))
      expect(newlyDenied.filter((shift) => !isNamed(shift))).toEqual([])
    }),
    { numRuns: 60 },
  )
})

test('a caller that makes up paths fills neither the memory nor the rules: what is too much is named', () => {
  const odd = Array.from({ length: 500 }, (_, at) => entry({ path: `/a//${'x'.repeat(5_000)}${at}` }))
  const words = Array.from({ length: 3_000 }, (_, at) => entry({ path: `/${'abc'.repeat(at % 50)}/${letters(at)}` }))
  const { notes, grants } = suggest([...words, ...odd.map((one, at) => ({ ...one, caller: `c${at}` }))], PRESENT)
  expect(notes).toHaveLength(201)
  expect(notes).toContain('checkout asks api.crm.test for more paths than are looked at: write its rules by hand')
  expect(notes.at(-1)).toBe('and more than is told here')
  expect(Math.max(...notes.map(({ length }) => length))).toBeLessThanOrEqual(301)
  expect(grants.map(({ caller }) => caller)).toEqual(['checkout'])
})

/** Of letters alone: what has digits is an id. */
function letters(at: number): string {
  return String(at).replace(/\d/g, (digit) => 'abcdefghij'[Number(digit)] ?? '')
}
