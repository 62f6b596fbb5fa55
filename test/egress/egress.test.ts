import { expect, test } from 'vitest'
import { type Besides, egressOf, withAddresses } from '../../src/egress/egress.ts'
import { settingsOf } from './settings.ts'

/** As `host:port for whom`. */
async function reached(text: string, besides: Partial<Besides> = {}): Promise<readonly string[]> {
  const { needs } = egressOf(await settingsOf(`${DOOR}${text}`), { also: [], ...besides })
  return needs.map(({ host, port, why }) => `${host}:${port} ${why.join(', ')}`)
}

async function notesOf(text: string): Promise<readonly string[]> {
  return egressOf(await settingsOf(`${DOOR}${text}`), { also: [] }).notes
}

const DOOR = 'listeners: [ { kind: forward, listen: 127.0.0.1:15001 } ]\n'
const NONE = 'credential: { kind: none }'

test('nothing is allowed by settings that name nothing', async () => {
  expect(await reached('')).toEqual([])
})

test.each([
  ['both by name', '[ api.a.test ]', 'a: { hosts: [ api.a.test ], NONE }', ['api.a.test:443 connection a']],
  [
    'of a name and a pattern, the name',
    '[ api.a.test ]',
    'a: { hosts: [ "*.a.test" ], NONE }',
    ['api.a.test:443 connection a'],
  ],
  [
    'the same the other way round',
    '[ "*.a.test" ]',
    'a: { hosts: [ api.a.test ], NONE }',
    ['api.a.test:443 connection a'],
  ],
  [
    'of two patterns, the narrower',
    '[ "*.b.a.test" ]',
    'a: { hosts: [ "*.a.test" ], NONE }',
    ['*.b.a.test:443 connection a'],
  ],
  [
    'the same the other way round',
    '[ "*.a.test" ]',
    'a: { hosts: [ "*.b.a.test" ], NONE }',
    ['*.b.a.test:443 connection a'],
  ],
  ['never the suffix itself', '[ a.test ]', 'a: { hosts: [ "*.a.test" ], NONE }', []],
  ['the allowlist alone is no way out', '[ api.a.test ]', 'b: { hosts: [ b.test ], NONE }', []],
  [
    'at the port of the connection that a name belongs to',
    '[ "*.b.a.test" ]',
    'a: { hosts: [ "*.a.test" ], NONE }, b: { hosts: [ "*.b.a.test" ], port: 8443, NONE }',
    ['*.b.a.test:8443 connection b'],
  ],
  [
    'plaintext has port 80',
    '[ a.test ]',
    'a: { hosts: [ a.test ], unsafeAllowPlaintextUpstream: true, NONE }',
    ['a.test:80 connection a'],
  ],
  ['one that is switched off is no way out', '[ a.test ]', 'a: { hosts: [ a.test ], disabled: true, NONE }', []],
])('of allowlist and connections %s', async (_, allowlist, connections, expected) => {
  const text = `allowlist: ${allowlist}\nconnections: { ${connections.replaceAll('NONE', NONE)} }`
  expect(await reached(text)).toEqual(expected)
})

test('the order of names is not that of the file', async () => {
  const text = `allowlist: [ z.test, a.test ]\nconnections: { a: { hosts: [ z.test, a.test ], ${NONE} } }`
  expect(await reached(text)).toEqual(['a.test:443 connection a', 'z.test:443 connection a'])
})

test('what is named by several is one need', async () => {
  const text = `allowlist: [ a.test ]
connections: { a: { hosts: [ a.test ], credential: { kind: github-app, appId: 1, installationId: 2, key: { file: k }, apiUrl: https://a.test } } }`
  expect(await reached(text)).toEqual(['a.test:443 connection a, installation tokens of a'])
})

test('the store and what is named besides are reached', async () => {
  const besides = { store: { host: 'db.test', port: 5432 }, also: [{ host: 'keys.test', port: 443 }] }
  expect(await reached('', besides)).toEqual(['db.test:5432 store (PostgreSQL)', 'keys.test:443 named by --also'])
})

test('what is named besides has to be public, unless it is named by its address', async () => {
  const also = ['keys.test', '10.0.0.9'].map((host) => ({ host, port: 443 }))
  const { needs } = egressOf(await settingsOf(DOOR), { also })
  expect(needs.map(({ host, allowPrivate, addresses }) => [host, allowPrivate, addresses])).toEqual([
    ['10.0.0.9', 'any', ['10.0.0.9']],
    ['keys.test', [], undefined],
  ])
})

test('says what it leaves out, and what it cannot know', async () => {
  const text = `allowlist: { mode: report, hosts: [ a.test, orphan.test ] }
connections:
  a: { hosts: [ a.test, other.test ], credential: { kind: exec, command: [ /bin/true ] } }
  off: { hosts: [ off.test ], disabled: true, ${NONE} }
  issued: { hosts: [ issued.test ], credential: { kind: client-credentials, issuer: https://login.test, clientId: a, clientSecret: { file: s } } }`
  expect(await notesOf(text)).toEqual([
    'The allowlist is in report mode, which lets everything out: this is as if it were enforced.',
    'No connection leads to orphan.test, which is on the allowlist: left out.',
    'other.test is not on the allowlist: left out.',
    'off.test is not on the allowlist: left out.',
    'issued.test is not on the allowlist: left out.',
    'The program of a may ask servers of its own: name them by --also HOST:PORT.',
    'login.test, issuer of issued, says where to ask: if that is another host, name it by --also HOST:PORT.',
  ])
})

const PINNED = `
allowlist: [ a.test, b.test ]
dns: { hosts: { a.test: [ 10.0.0.7, 10.1.0.7 ] } }
connections: { a: { hosts: [ a.test, b.test ], allowPrivate: [ 10.0.0.0/16 ], ${NONE} } }`

test('a name that the settings pin has the addresses that may be dialled there, and no others', async () => {
  const { needs, asksDns } = egressOf(await settingsOf(DOOR + PINNED), { also: [] })
  expect(needs.map(({ host, addresses }) => [host, addresses])).toEqual([
    ['a.test', ['10.0.0.7']],
    ['b.test', undefined],
  ])
  expect(asksDns).toBe(true)
})

test('an IPv4 address that is written as IPv6 is the IPv4 address that is dialled', async () => {
  const text = PINNED.replace('[ 10.0.0.7, 10.1.0.7 ]', '[ 10.0.0.7, "::ffff:10.0.0.7", "::ffff:10.0.0.8" ]')
  const { needs } = egressOf(await settingsOf(DOOR + text), { also: [] })
  expect(needs[0]?.addresses).toEqual(['10.0.0.7', '10.0.0.8'])
})

test('with every name pinned there is nothing to ask DNS for', async () => {
  const text = PINNED.replace('allowlist: [ a.test, b.test ]', 'allowlist: [ a.test ]')
  expect(egressOf(await settingsOf(DOOR + text), { also: [] }).asksDns).toBe(false)
})

test("today's addresses pin what the settings leave to DNS", async () => {
  const egress = egressOf(await settingsOf(DOOR + PINNED), { also: [] })
  const found = new Map([['b.test', ['44.0.0.2', '10.9.0.1', '169.254.169.254']]])
  const { needs } = withAddresses(egress, found)
  expect(needs.map(({ host, addresses, isOfToday }) => [host, addresses, isOfToday])).toEqual([
    ['a.test', ['10.0.0.7'], undefined],
    ['b.test', ['44.0.0.2'], true],
  ])
})

test('the same addresses are the same, in whatever order DNS has them today', async () => {
  const egress = egressOf(await settingsOf(DOOR + PINNED), { also: [] })
  const at = ['44.0.0.3', '44.0.0.2', '2600:1::2']
  const [one, other] = [at, at.toReversed()].map((found) => withAddresses(egress, new Map([['b.test', found]])))
  expect(one).toEqual(other)
})

test('a name that is only where nothing may be dialled is told of', async () => {
  const egress = egressOf(await settingsOf(DOOR + PINNED), { also: [] })
  const { notes } = withAddresses(egress, new Map([['b.test', ['169.254.169.254']]]))
  expect(notes).toEqual(['b.test has no address that may be dialled: see allowPrivate.'])
})
