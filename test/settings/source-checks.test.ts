import { expect, test } from 'vitest'
import { faultsOf } from '../support/settings-file.ts'

const exchange = (subject: string, more = '') =>
  `credential: { kind: token-exchange, tokenEndpoint: "https://login.test/", subject: ${subject}${more} }`

function settings(connections: Readonly<Record<string, string>>, more: object = {}): string {
  const lines = Object.entries(connections).map(([name, rest]) => `  ${name}: { hosts: [ ${name}.test ], ${rest} }`)
  const others = { callers: { app: { kind: 'api-key', key: { file: 'k' } } }, ...more }
  const head = 'listeners: [ { kind: forward, listen: 127.0.0.1:0 } ]\nconnections:'
  const tail = Object.entries(others).map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
  return [head, ...lines, ...tail, ''].join('\n')
}

const JWT = { people: { kind: 'jwt', issuer: 'https://idp.test', audience: 'us', claims: { sub: '*' } } }
const STATIC = 'credential: { kind: static, secret: { file: s } }'

test('a connection that another one needs is there, has a credential, and is another one', async () => {
  const from = (name: string) => exchange(`{ from: connection, connection: ${name} }`)
  const at = /^s\.yaml:\d+:\d+ connections\.one\.credential\.subject\.connection: /
  for (const [connections, message] of [
    [{ one: from('none') }, 'use the name of a connection: one'],
    [{ one: from('constructor') }, 'use the name of a connection: one'],
    [{ one: from('two'), two: 'credential: { kind: none }' }, 'use another connection: two has no credential'],
    [{ one: from('two'), two: `disabled: true, ${STATIC}` }, 'use another connection, or enable two'],
    [{ one: from('one') }, 'use another connection: this one would need itself, by one'],
  ] as const) {
    const faults = await faultsOf(settings(connections))
    expect(faults).toHaveLength(1)
    expect(faults[0]).toMatch(at)
    expect(faults[0]).toContain(message)
  }
  expect(await faultsOf(settings({ one: from('two'), two: STATIC }))).toEqual([])
})

test('connections that need each other are told, each with the way back', async () => {
  const from = (name: string) => exchange(`{ from: connection, connection: ${name} }`)
  expect(await faultsOf(settings({ one: from('two'), two: from('three'), three: from('one') }))).toEqual([
    expect.stringContaining(
      'connections.one.credential.subject.connection: use another connection: this one would need itself, by two, which needs three, which needs one',
    ),
    expect.stringContaining('by three, which needs one, which needs two'),
    expect.stringContaining('by one, which needs two, which needs three'),
  ])
  expect(await faultsOf(settings({ two: from('one'), one: from('one') }))).toEqual([
    expect.stringContaining('connections.one.credential.subject.connection: use another connection: this one'),
  ])
})

test('an actor is checked as well, at its own place', async () => {
  const one = exchange('{ from: file, token: { file: t } }', ', actor: { from: connection, connection: nowhere }')
  expect(await faultsOf(settings({ one }))).toEqual([
    expect.stringContaining('credential.actor.connection: use the name'),
  ])
})

test('a trusted caller is one of the callers', async () => {
  const one = exchange('{ from: header, header: x-forwarded-access-token, trustedCallers: [ app, gate ] }')
  expect(await faultsOf(settings({ one }))).toEqual([
    expect.stringContaining('connections.one.credential.subject.trustedCallers[1]: use the name of a caller: app'),
  ])
})

test.each([
  ['the subject', exchange('{ from: caller }')],
  ['the actor', exchange('{ from: file, token: { file: t } }', ', actor: { from: caller }')],
  ['a claim', exchange('{ from: file, token: { file: t } }', ', clientIdFrom: { claim: r, map: { a: b } }')],
])('where a caller’s token is %s, somebody shows one', async (_what, one) => {
  expect(await faultsOf(settings({ one }))).toEqual([
    expect.stringMatching(/connections\.one\.credential: add a caller of kind jwt, kubernetes or spiffe/),
  ])
  const callers = { ...JWT, app: { kind: 'api-key', key: { file: 'k' } } }
  const grants = (caller: string) => [{ caller, connection: 'one' }]
  expect(await faultsOf(settings({ one }, { callers, grants: grants('people') }))).toEqual([])
  expect(await faultsOf(settings({ one }, { callers, grants: grants('app') }))).toEqual([
    expect.stringMatching(
      /grants\[0\]\.caller: use a caller that shows a token: .* the proof of app \(api-key\) is none$/,
    ),
  ])
})

test('a token that is needed further back is needed here, too', async () => {
  const two = exchange('{ from: connection, connection: one }')
  const callers = { ...JWT, app: { kind: 'api-key', key: { file: 'k' } } }
  const grants = [{ caller: 'app', connection: 'two' }]
  expect(await faultsOf(settings({ one: exchange('{ from: caller }'), two }, { callers, grants }))).toEqual([
    expect.stringContaining('use a caller that shows a token: two acts for'),
  ])
})

test('a claim that chooses the principal is of one issuer', async () => {
  const callers = { ...JWT, partners: { ...JWT.people, issuer: 'https://partner.test' } }
  const one = (more: string) => exchange('{ from: caller }', `, clientIdFrom: { claim: r, map: { a: b }${more} }`)
  expect(await faultsOf(settings({ one: one('') }, { callers }))).toEqual([
    expect.stringMatching(/connections\.one\.credential\.clientIdFrom: add "issuer": callers show tokens of several/),
  ])
  expect(await faultsOf(settings({ one: one(', issuer: https://idp.test') }, { callers }))).toEqual([])
})
