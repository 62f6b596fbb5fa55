import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { askDoor } from '../admin/door.ts'
import { freePort } from '../support/ports.ts'
import { writeSecret } from '../support/sallyport.ts'
import { besiege, type Siege, valuesIn } from './siege.ts'

/** Section H of the catalogue, at the admin door: it is reached by operators, and not by way of a data door. */
let siege: Siege
const key = randomBytes(32).toString('hex')

/** Names that mean this machine, each in a spelling of its own. */
const SPELLINGS: Readonly<Record<string, readonly string[]>> = {
  'one.test': ['127.0.0.1'],
  'two.test': ['127.0.0.2'],
  'six.test': ['::1'],
  'mapped.test': ['::ffff:127.0.0.1'],
  'hex.test': ['::ffff:7f00:1'],
  'zero.test': ['0.0.0.0'],
  'unspecified.test': ['::'],
}
const ALL = ['127.0.0.0/8', '::1/128', '0.0.0.0/8', '::/128', '::ffff:0:0/96']

beforeAll(async () => {
  const port = await freePort()
  siege = await besiege({
    settings: ({ directory, connection }) => {
      writeSecret(directory, 'operator', key)
      const connections = Object.fromEntries(
        Object.keys(SPELLINGS).map((host) => {
          const name = host.replace('.test', '')
          const plain = {
            port,
            unsafeAllowPlaintextUpstream: true,
            allowPrivate: ALL,
            connect: 'tunnel',
            tunnel: 'any',
          }
          const {
            credential: _none,
            tls: _public,
            ...rest
          } = connection(name, [host], plain) as Record<string, unknown>
          return [name, { ...rest, credential: { kind: 'none' } }]
        }),
      )
      return {
        admin: {
          listen: `127.0.0.1:${port}`,
          operators: { ann: { role: 'admin', proof: { kind: 'api-key', key: { file: 'operator' } } } },
        },
        allowlist: Object.keys(SPELLINGS),
        connections,
        grants: Object.keys(connections).map((name) => ({ caller: 'alpha', connection: name })),
        hosts: SPELLINGS,
        store: { kind: 'sqlite', path: 'store.db' },
      }
    },
  })
})

afterAll(() => siege.end())

const admin = () => siege.sallyport.admin ?? ''
const ANSWERED = { until: /\r\n\r\n[\s\S]*(?:ok|\}\n)$/ }
const proof = () => `Proxy-Authorization: Basic ${Buffer.from(`alpha:${siege.keys.alpha}`).toString('base64')}\r\n`

describe.each(Object.keys(SPELLINGS))('H17 the admin door under the name %s', (host) => {
  const port = () => admin().split(':')[1] ?? ''

  test.each(['/metrics', '/v1/callers', '/openapi.json'])('is not reached through the proxy: %s', async (path) => {
    const head = `GET http://${host}:${port()}${path} HTTP/1.1\r\nHost: ${host}\r\n${proof()}Authorization: Bearer ${key}\r\n\r\n`
    const { status, text } = await siege.attack(siege.forward, head, ANSWERED)
    expect(status).toBeGreaterThanOrEqual(400)
    expect(text).toMatch(/loop-detected/)
    expect(text).not.toMatch(/process_cpu|"items"|"openapi"/)
  })

  test('is not reached through a tunnel', async () => {
    const head = `CONNECT ${host}:${port()} HTTP/1.1\r\nHost: ${host}:${port()}\r\n${proof()}\r\n`
    const { status, text } = await siege.attack(siege.forward, head, ANSWERED)
    expect(status).toBeGreaterThanOrEqual(400)
    expect(text).not.toContain('200 Connection')
  })

  test('is not reached through a reverse door', async () => {
    const name = host.replace('.test', '')
    const head = `GET /${name}/v1/callers HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${siege.keys.alpha}\r\n\r\n`
    const { status, text } = await siege.attack(siege.port, head, ANSWERED)
    expect(status).toBeGreaterThanOrEqual(400)
    expect(text).not.toContain('"items"')
  })
})

test.each([
  'http://unix:/admin.sock:/v1/callers',
  'http://unix/v1/callers',
  'unix:/admin.sock',
  'http://[unix:/admin.sock]/v1/callers',
  'http://%2Fadmin.sock/v1/callers',
  'http+unix://admin.sock/v1/callers',
  'file:///v1/callers',
])('H17 a target that names a socket leads nowhere: %s', async (target) => {
  const head = `GET ${target} HTTP/1.1\r\nHost: api.test\r\n${proof()}\r\n`
  const { status, sent } = await siege.attack(siege.forward, head, ANSWERED)
  expect([400, 403]).toContain(status)
  expect(sent).toBe('')
})

test.each(['/v1/callers', '/v1/grants', '/openapi.json', '/v1/audit/tail'])(
  'H17 %s is no page of a data door',
  async (path) => {
    for (const address of [siege.reverse, siege.port]) {
      const head = `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\n\r\n`
      const { status, text, sent } = await siege.attack(address, head, ANSWERED)
      expect([401, 403, 404]).toContain(status)
      expect(sent + text).not.toMatch(/"items"|"openapi"/)
    }
  },
)

test('H17 the key of an operator is no key of a caller, and the other way round', async () => {
  const { status, sent } = await siege.attack(
    siege.forward,
    `GET http://api.test/ HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Bearer ${key}\r\n\r\n`,
    ANSWERED,
  )
  expect([status, sent]).toEqual([407, ''])
  const answer = await askDoor(admin(), { method: 'GET', path: '/v1/callers', key: siege.keys.alpha })
  expect([answer.status, answer.json['code']]).toEqual([401, 'operator-unknown'])
})

test('H17 the admin door lets nobody out, whoever asks', async () => {
  for (const line of ['GET http://api.test/', 'CONNECT api.test:443', 'GET //api.test/']) {
    const head = `${line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\n${proof()}\r\n`
    const { sent, text } = await siege.attack(admin(), head, { until: /\r\n\r\n/ })
    expect(sent).toBe('')
    expect(text).not.toMatch(/^HTTP\/1\.1 2/)
  }
})

test('H14 an operator is asked for a proof by a challenge that no browser answers by itself', async () => {
  const { text, status } = await siege.attack(admin(), 'GET /v1/callers HTTP/1.1\r\nHost: localhost\r\n\r\n', ANSWERED)
  expect(status).toBe(401)
  expect(valuesIn(text, 'www-authenticate')).toEqual(['Bearer realm="sallyport admin"'])
})
