import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sendRaw } from '../support/raw-client.ts'
import { openTestDoor, type TestDoor } from './door.ts'

let door: TestDoor
beforeAll(async () => {
  door = await openTestDoor({ isShared: true })
})
afterAll(() => door.close())

const port = () => door.address.split(':')[1] ?? ''

/** A request with a right key: what is refused is not refused for that. */
async function send(line: string, fields: string, body = '') {
  const head = `${line} HTTP/1.1\r\n${fields.replaceAll('{PORT}', port())}Authorization: Bearer ${door.keys.admin}\r\nConnection: close\r\n\r\n`
  const { status, text } = await sendRaw(door.address, head + body)
  return { status, text }
}

describe.each(['GET /v1/callers', 'POST /v1/connections/crm/disable', 'GET /metrics', 'GET /openapi.json'])(
  'H14 %s',
  (line) => {
    test.each([
      ['a rebound name', 'Host: attacker.example\r\n', 421],
      ['a rebound name with our port', 'Host: attacker.example:{PORT}\r\n', 421],
      ['a name that ends like ours', 'Host: evil-localhost\r\n', 421],
      ['a name below ours', 'Host: localhost.attacker.example\r\n', 421],
      ['two hosts', 'Host: localhost\r\nHost: attacker.example\r\n', 421],
      ['another page', 'Host: localhost\r\nOrigin: https://evil.example\r\n', 403],
      ['a page without an origin', 'Host: localhost\r\nOrigin: null\r\n', 403],
      ['a page of another port', 'Host: localhost:{PORT}\r\nOrigin: http://localhost:1\r\n', 403],
      ['a cross-site request', 'Host: localhost\r\nSec-Fetch-Site: cross-site\r\n', 403],
      ['a same-site request', 'Host: localhost\r\nSec-Fetch-Site: same-site\r\n', 403],
      [
        'two answers to whose page it is',
        'Host: localhost\r\nSec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n',
        403,
      ],
    ])('%s is refused, whatever its key', async (_what, fields, status) => {
      const answer = await send(line, fields)
      expect(answer.status).toBe(status)
      expect(answer.text).not.toMatch(/access-control-/i)
      expect(door.store.holdings().switches).toEqual([])
    })
  },
)

test.each(['localhost', 'localhost:{PORT}', '127.0.0.1:{PORT}', '[::1]:{PORT}'])(
  'Host %s is this door',
  async (host) => {
    expect((await send('GET /v1/callers', `Host: ${host}\r\n`)).status).toBe(200)
  },
)

test('a preflight is answered without a word of permission', async () => {
  const fields = 'Host: localhost\r\nOrigin: http://localhost\r\nAccess-Control-Request-Method: DELETE\r\n'
  const { status, text } = await send('OPTIONS /v1/grants', fields)
  expect(status).toBe(405)
  expect(text).toMatch(/^allow: GET, HEAD, POST\r$/im)
  expect(text).not.toMatch(/access-control-/i)
})

test.each([
  ['a form', 'application/x-www-form-urlencoded'],
  ['a form with parts', 'multipart/form-data; boundary=x'],
  ['plain text', 'text/plain'],
  ['text that says to be JSON further on', 'text/plain; application/json'],
  ['JSON in another alphabet', 'application/json; charset=utf-16'],
  ['what looks like JSON', 'application/jsonp'],
])('a body that a web page could send as %s is not read', async (_what, type) => {
  const { status, json } = await door.ask('POST', '/v1/callers', {
    body: { name: 'forged' },
    headers: { 'Content-Type': type },
  })
  expect([status, json['code']]).toEqual([415, 'content-type-unsupported'])
})

test('a compressed body is not read: a kilobyte of it may be a gigabyte', async () => {
  const headers = { 'Content-Encoding': 'gzip' }
  const { status } = await door.ask('POST', '/v1/callers', { body: 'x', headers })
  expect(status).toBe(415)
})

test.each([
  ['1 MiB and a byte', JSON.stringify({ name: 'x'.repeat(1024 * 1024) }), 413],
  ['half a million lists in one another', '['.repeat(500_000), 400],
  ['as many, closed', '['.repeat(300_000) + ']'.repeat(300_000), 422],
  ['mappings in one another', `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`, 422],
  [
    'fifty thousand unknown keys',
    JSON.stringify(Object.fromEntries(Array.from({ length: 50_000 }, (_, at) => [`k${at}`, 1]))),
    422,
  ],
  ['not UTF-8', 'not-utf8', 400],
  ['no JSON', '{"name":', 400],
  ['nothing', '', 422],
])('a body of %s is refused in time, and shortly', async (_what, body, status) => {
  const bytes = body === 'not-utf8' ? '{"name":"\xff\xfe"}' : body
  const fields = `Host: localhost\r\nContent-Type: application/json\r\nContent-Length: ${bytes.length}\r\n`
  const answer = await send('POST /v1/callers', fields, bytes)
  expect(answer.status).toBe(status)
  expect(answer.text.length).toBeLessThan(20_000)
  expect(door.store.holdings().callers).toEqual([])
})

test('a body that does not say how long it is, is counted', async () => {
  const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`
  const fields = 'Host: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n'
  const { status } = await send('POST /v1/callers', fields, `${chunk.repeat(17)}0\r\n\r\n`)
  expect(status).toBe(413)
})

test('what is no path of this door is not found, and says where the list is', async () => {
  for (const path of ['/', '/v1', '/v1/', '/v2/grants', '/v1/grants/', '/v1//grants', '/V1/grants', '/v1/grants/a/b']) {
    const { status, json } = await door.ask('GET', path)
    expect([path, status]).toEqual([path, 404])
    expect(json['detail']).toContain('/openapi.json')
  }
})

test('a path parameter that is no name is refused', async () => {
  for (const name of ['%2e%2e%2fx', 'a%0ab', '%00', 'x'.repeat(200), '%F0%9F%92%A9', '%zz'])
    expect([name, (await door.ask('DELETE', `/v1/callers/${name}`)).status]).toEqual([name, 422])
})

test('a parameter that is given twice, or that nobody knows, is refused', async () => {
  for (const [query, pointer] of [
    ['limit=1&limit=2', 'limit'],
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['limit=x', 'limit'],
    ['cursor=x', 'cursor'],
    ['colour=red', 'colour'],
  ] as const) {
    const { status, json } = await door.ask('GET', `/v1/grants?${query}`)
    expect([query, status, json['errors']?.[0]]).toMatchObject([query, 422, { pointer }])
  }
})

test('HEAD is GET without a body', async () => {
  const { status, text } = await door.ask('HEAD', '/v1/callers')
  expect([status, text]).toEqual([200, ''])
})
