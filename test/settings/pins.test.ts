import { expect, test } from 'vitest'
import { loadSettings } from '../../src/settings/load.ts'
import { DOOR, settingsFile } from '../support/settings-file.ts'

/** What is said of `dns.hosts`, for connections on line 4. */
async function warningsOf(pins: string, connections: string): Promise<readonly string[]> {
  const text = `${DOOR}dns: { hosts: ${pins} }\nconnections: ${connections}\nallowlist: [ a.test, "*.b.test" ]\n`
  const { warnings } = await loadSettings(await settingsFile(text))
  return warnings.map((line) => line.slice(line.indexOf('s.yaml')))
}

const NONE = 'credential: { kind: none }'

test('a name that is pinned to an address that nobody may dial is a warning, with what to add', async () => {
  const connections = `{ crm: { hosts: [ a.test, "*.b.test" ], ${NONE}, allowPrivate: [ 10.1.0.0/16 ] } }`
  const pins = '{ a.test: [ 10.2.0.1, 127.0.0.1 ], x.b.test: [ 192.168.0.1 ], y.b.test: [ 10.1.2.3 ] }'
  expect(await warningsOf(pins, connections)).toEqual([
    's.yaml:3:25 dns.hosts["a.test"]: is refused at 10.2.0.1 (private), 127.0.0.1 (loopback): add its range to allowPrivate of connections.crm',
    's.yaml:3:60 dns.hosts["x.b.test"]: is refused at 192.168.0.1 (private): add its range to allowPrivate of connections.crm',
  ])
})

test('one address that may be dialled is enough, and so is a public one', async () => {
  const connections = `{ crm: { hosts: [ a.test, x.b.test ], ${NONE}, allowPrivate: [ 10.1.0.0/16 ] } }`
  expect(await warningsOf('{ a.test: [ 127.0.0.1, 10.1.0.7 ], x.b.test: [ 9.9.9.9 ] }', connections)).toEqual([])
})

test('an issuer has an allowPrivate of its own', async () => {
  const credential = (more: string) =>
    `{ crm: { hosts: [ a.test ], credential: { kind: client-credentials, tokenEndpoint: https://login.test/t, clientId: c, clientSecret: { env: X }${more} } } }`
  const pins = '{ login.test: [ 10.2.0.1 ] }'
  expect(await warningsOf(pins, credential(''))).toEqual([
    's.yaml:3:29 dns.hosts["login.test"]: is refused at 10.2.0.1 (private): add its range to allowPrivate of connections.crm.credential',
  ])
  expect(await warningsOf(pins, credential(', allowPrivate: [ 10.0.0.0/8 ]'))).toEqual([])
})

test("a name that nobody dials is nobody's business", async () => {
  expect(await warningsOf('{ z.test: [ 10.2.0.1 ] }', `{ crm: { hosts: [ a.test ], ${NONE} } }`)).toEqual([])
})
