import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { open } from '../support/raw-client.ts'
import { eventually } from '../support/sallyport.ts'
import { OK } from '../support/upstream.ts'
import { besiege, CARRIERS, type Carrier, expectRefused, type Siege, valuesIn } from './siege.ts'

/** Section A of the catalogue: bytes that two parsers might read in two ways. Ids are the catalogue's. */
let siege: Siege

beforeAll(async () => {
  siege = await besiege({
    script(path) {
      if (path === '/final') return [{ send: 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno' }]
      if (path === '/silent') return ['hang']
      return path === '/whole' ? [{ wait: eventually(() => hasCome('/whole'), 'the last chunk') }, ...OK] : OK
    },
    settings: ({ connection }) => ({
      connections: { keyed: connection('keyed', ['a.x.test'], { inject: { kind: 'header', name: 'X-Api-Key' } }) },
      grants: [{ caller: 'alpha', connection: 'keyed' }],
    }),
  })
})

afterAll(() => siege.end())

/** Whether the last chunk of a request to this path has arrived. */
function hasCome(path: string): true | undefined {
  const isWhole = (bytes: string) => bytes.slice(bytes.lastIndexOf(` ${path} `)).endsWith('\r\n0\r\n\r\n')
  return siege.upstream.connections.some(({ bytes }) => bytes.includes(` ${path} `) && isWhole(bytes)) || undefined
}

function attack(carrier: Carrier, template: string, wait = {}) {
  return siege.attack(siege.address(carrier), siege.bytes(carrier, template), wait)
}

const SMUGGLED = 'GET {T}/smuggled HTTP/1.1⏎{H}⏎'

const BAD_LENGTHS = ['+2', '-1', '0x2', '2_0', '1e1', '', '2 2', '2.0', '18446744073709551616', '\x0b2', '2, 2']
const BAD_CODINGS = ['xchunked', 'identity', 'chunked, identity', 'chunked;a=b', '"chunked"', 'chunked, chunked']
const ODD_CODINGS = ['gzip, chunked', ',chunked', '\x0bchunked', '\xa0chunked', 'chun\0ked', 'chun\xc5\xbfed', '']
const BAD_HOSTS = ['a b', 'a@b', 'a/x', 'a,b', '', 'a:99999', '[::1', 'a:80:80', 'a\xe9', 'a#b', 'a%2eb']

type Row = readonly [id: string, template: string, statuses: readonly number[]]
type ShortRow = readonly [id: string, template: string, statuses?: readonly number[]]

const BAD_OR_UNKNOWN = [400, 501]

const ROWS: readonly ShortRow[] = [
  ['A01 CL then TE', `POST {T}/ HTTP/1.1⏎{H}Content-Length: 5⏎Transfer-Encoding: chunked⏎⏎0⏎⏎${SMUGGLED}`],
  ['A02 TE then CL', `POST {T}/ HTTP/1.1⏎{H}Transfer-Encoding: chunked⏎Content-Length: 5⏎⏎0⏎⏎${SMUGGLED}`],
  ['A03 two CL that differ', `POST {T}/ HTTP/1.1⏎{H}Content-Length: 0⏎Content-Length: 31⏎⏎${SMUGGLED}`],
  ['A04 two CL alike', `POST {T}/ HTTP/1.1⏎{H}Content-Length: 2⏎Content-Length: 2⏎⏎ab${SMUGGLED}`],
  ...BAD_LENGTHS.map(
    (length): ShortRow => [`A05 CL ${JSON.stringify(length)}`, `POST {T}/ HTTP/1.1⏎{H}Content-Length: ${length}⏎⏎ab`],
  ),
  ['A06 CL 010', 'POST {T}/ HTTP/1.1⏎{H}Content-Length: 010⏎⏎0123456789'],
  ...[...BAD_CODINGS, ...ODD_CODINGS].map(
    (coding): ShortRow => [
      `A08 A09 A11 TE ${JSON.stringify(coding)}`,
      `POST {T}/ HTTP/1.1⏎{H}Transfer-Encoding: ${coding}⏎⏎0⏎⏎${SMUGGLED}`,
      BAD_OR_UNKNOWN,
    ],
  ),
  ...BAD_CODINGS.map(
    (coding): ShortRow => [
      `A09 TE ${coding} and CL`,
      `POST {T}/ HTTP/1.1⏎{H}Transfer-Encoding: ${coding}⏎Content-Length: 5⏎⏎0⏎⏎`,
      BAD_OR_UNKNOWN,
    ],
  ),
  ['A10 TE twice', `POST {T}/ HTTP/1.1⏎{H}Transfer-Encoding: chunked⏎Transfer-Encoding: chunked⏎⏎0⏎⏎${SMUGGLED}`],
  ['A10 TE in HTTP/1.0', `POST {T}/ HTTP/1.0⏎{H}Transfer-Encoding: chunked⏎⏎0⏎⏎${SMUGGLED}`],
  ['A19 bare LF in the head', 'GET {T}/ HTTP/1.1\n{H}\n'],
  ['A19 bare LF after one field', 'GET {T}/ HTTP/1.1⏎{H}X: a\nY: b⏎⏎'],
  ['A20 bare CR', 'GET {T}/ HTTP/1.1⏎{H}X: a\rAuthorization: evil⏎⏎'],
  ['A21 NUL in a value', 'GET {T}/ HTTP/1.1⏎{H}X: a\0b⏎⏎'],
  ['A22 obs-fold', 'GET {T}/ HTTP/1.1⏎{H}X: a⏎ b⏎⏎'],
  ['A23 space before the colon of CL', 'POST {T}/ HTTP/1.1⏎{H}Content-Length : 2⏎⏎ab'],
  ['A23 space before the colon of Host', 'GET {T}/ HTTP/1.1⏎Host : x⏎{P}⏎'],
  ['A24 no colon', 'GET {T}/ HTTP/1.1⏎{H}Nothing⏎⏎'],
  ['A24 no name', 'GET {T}/ HTTP/1.1⏎{H}: v⏎⏎'],
  ['A24 space before the first field', 'GET {T}/ HTTP/1.1⏎ X: 1⏎{H}⏎'],
  ['A24 space before CL', `POST {T}/ HTTP/1.1⏎{H} Content-Length: 2⏎⏎ab${SMUGGLED}`],
  ...['\x85', '(', '\x01', 'é', '"', '@', '\x7f'].map(
    (char): ShortRow => [`A25 ${JSON.stringify(char)} in a name`, `GET {T}/ HTTP/1.1⏎{H}X${char}: 1⏎⏎`],
  ),
  ['A26 Content_Length', `POST {T}/ HTTP/1.1⏎{H}Content_Length: 5⏎⏎`],
  ['A26 Transfer_Encoding', `POST {T}/ HTTP/1.1⏎{H}Transfer_Encoding: chunked⏎⏎0⏎⏎`],
  ...[1001, 2500].map(
    (count): ShortRow => [
      `A28 ${count} fields, then CL`,
      `POST {T}/ HTTP/1.1⏎{H}${'a:⏎'.repeat(count)}Content-Length: 3⏎⏎abc`,
      [431],
    ],
  ),
  ['A29 HTTP/0.9', 'GET {T}/⏎⏎', [400, 505]],
  ...['HTTP/2.0', 'HTTP/1.2', 'HTTP/01.1', 'HTTP/1.32', 'HTTP/0.9', 'http/1.1', 'HTTPS/1.1'].map(
    (version): ShortRow => [`A30 ${version}`, `GET {T}/ ${version}⏎{H}⏎`, [400, 505]],
  ),
  ['A30 the HTTP/2 preface', 'PRI * HTTP/2.0⏎⏎SM⏎⏎', [400, 505]],
  ['A31 tabs', 'GET\t{T}/\tHTTP/1.1⏎{H}⏎'],
  ...['get', 'FOO', 'G=":x'].map(
    (method): ShortRow => [`A31 method ${method}`, `${method} {T}/ HTTP/1.1⏎{H}⏎`, BAD_OR_UNKNOWN],
  ),
  ...[' ', '\t', '\x01', '\0', '\xff', 'é', '\x7f', '#x', '\\'].map(
    (char): ShortRow => [`A32 ${JSON.stringify(char)} in the target`, `GET {T}/a${char}b HTTP/1.1⏎{H}⏎`],
  ),
  ['A33 two Hosts alike', 'GET {T}/ HTTP/1.1⏎Host: localhost⏎Host: localhost⏎{P}⏎'],
  ['A33 two Hosts', 'GET {T}/ HTTP/1.1⏎Host: localhost⏎Host: evil.test⏎{P}⏎'],
  ['A33 no Host', 'GET {T}/ HTTP/1.1⏎{P}⏎'],
  ...BAD_HOSTS.map((host): ShortRow => [`A34 Host ${JSON.stringify(host)}`, `GET {T}/ HTTP/1.1⏎Host: ${host}⏎{P}⏎`]),
  ['A38 CR before a name', 'GET {T}/ HTTP/1.1⏎{H}\rZGET /evil HTTP/1.1⏎Host: a⏎⏎'],
  ['A42 another expectation', 'POST {T}/ HTTP/1.1⏎{H}Expect: 200-ok⏎Content-Length: 2⏎⏎', [417]],
  ['A42 an expectation that ends alike', 'POST {T}/ HTTP/1.1⏎{H}Expect: y 100-continue⏎Content-Length: 2⏎⏎', [417]],
]

const REFUSED = ROWS.map(([id, template, statuses = [400]]): Row => [id, template, statuses])

describe.each(CARRIERS)('%s', (carrier) => {
  test.each(REFUSED)('%s', async (_id, template, statuses) => {
    expectRefused(await attack(carrier, template), statuses)
  })

  test.each([
    ['two Hosts', 'GET {T}/ HTTP/1.1⏎Host: a⏎Host: a⏎{P}⏎'],
    ['no Host', 'GET {T}/ HTTP/1.1⏎{P}⏎'],
    ['two lengths', 'POST {T}/ HTTP/1.1⏎{H}Content-Length: 0⏎content_length: 9⏎⏎'],
    ['another coding', 'POST {T}/ HTTP/1.1⏎{H}Transfer-Encoding: gzip, chunked⏎⏎0⏎⏎'],
    ['another version', 'GET {T}/ HTTP/2.0⏎{H}⏎'],
    ['a bad target', 'GET {T}/#x HTTP/1.1⏎{H}⏎'],
    ['another expectation', 'POST {T}/ HTTP/1.1⏎{H}Expect: x⏎Content-Length: 0⏎⏎'],
  ])('nothing that follows a request with %s on its connection is taken in', async (_name, template) => {
    const sight = await attack(carrier, `${template}${SMUGGLED}${SMUGGLED}`)
    expectRefused(sight, [400, 417, 501, 505])
    expect(valuesIn(sight.text, 'content-type')).toEqual(['application/problem+json'])
  })

  const BAD_CHUNKS = ['0x1⏎A⏎', '-1⏎A⏎', '+1⏎A⏎', '1_0⏎A⏎', ' 1⏎A⏎', '1 ⏎A⏎', '⏎A⏎', 'g⏎A⏎', '10000000000000001⏎A⏎']
  const BAD_LINES = ['1;a\nb⏎A⏎', '1\r\r;a⏎A⏎', '1\nA\n', '1⏎AA⏎', '1⏎A\n', '1⏎A', `1;${'e'.repeat(1 << 20)}⏎A⏎`]
  test.each([...BAD_CHUNKS, ...BAD_LINES].map((chunk) => [chunk.slice(0, 20), chunk]))(
    'A13 to A17 chunk %j breaks the request, and the upstream never sees its end',
    async (_name, chunk) => {
      const sight = await attack(
        carrier,
        `POST {T}/silent HTTP/1.1⏎{H}Transfer-Encoding: chunked⏎⏎2⏎ok⏎${chunk}0⏎⏎${SMUGGLED}`,
      )
      expect([400, 413]).toContain(sight.status)
      expect(sight.closed).toBe(true)
      expect(sight.requests).toEqual([])
      expect(sight.sent).not.toContain('0\r\n\r\n')
    },
  )

  test('A17 100 000 chunks of one byte with an extension each cost no more than their bytes, and are framed anew', async () => {
    const chunks = '1;e⏎A⏎'.repeat(100_000)
    const wait = { until: /ok$/ }
    const sight = await attack(carrier, `POST {T}/whole HTTP/1.1⏎{H}Transfer-Encoding: chunked⏎⏎${chunks}0⏎⏎`, wait)
    expect(sight.status).toBe(200)
    expect(sight.requests.map(({ body }) => body)).toEqual(['A'.repeat(100_000)])
    expect(sight.sent).not.toContain(';e')
  })

  test('A18 a trailer does not become a field', async () => {
    const sight = await attack(
      carrier,
      'POST {T}/ HTTP/1.1⏎{H}Transfer-Encoding: chunked⏎⏎1⏎A⏎0⏎Authorization: evil⏎X: 1⏎⏎',
      { until: /ok$/ },
    )
    expect(sight.requests).toHaveLength(1)
    expect(sight.sent).not.toMatch(/evil|X: 1/)
  })

  test('A26 a managed name with "_" is dropped', async () => {
    const { requests } = await attack(
      carrier,
      'GET {T}/ HTTP/1.1⏎{H}Authorization_: x⏎AUTHORIZATION__: x⏎Proxy_Authorization: x⏎⏎',
      { until: /ok$/ },
    )
    expect(requests).toHaveLength(1)
    expect(requests[0]?.head.match(/authorization/gi)).toHaveLength(1)
  })

  test('A27 names of Object.prototype are names like any other', async () => {
    const fields = '__proto__: a⏎constructor: b⏎hasOwnProperty: c⏎toString: d⏎__proto__: e⏎'
    const { requests } = await attack(carrier, `GET {T}/ HTTP/1.1⏎{H}${fields}⏎`, { until: /ok$/ })
    expect(requests[0]?.head).toContain(fields.replace(/__proto__: e⏎$/, '').replaceAll('⏎', '\r\n'))
  })

  test('A35 a GET with a body, then another, are two requests', async () => {
    const sight = await attack(carrier, 'GET {T}/1 HTTP/1.1⏎{H}Content-Length: 3⏎⏎abcGET {T}/2 HTTP/1.1⏎{H}⏎', {
      until: /ok[\s\S]*ok$/,
    })
    const bodies = Object.fromEntries(sight.requests.map(({ line, body }) => [line, body]))
    expect([bodies, sight.requests.length]).toEqual([{ 'GET /1 HTTP/1.1': 'abc', 'GET /2 HTTP/1.1': '' }, 2])
    for (const { head } of sight.requests)
      expect(valuesIn(head, 'authorization')).toEqual([`Bearer ${siege.credentials['api']}`])
    const entries = await siege.entries(/^\/[12]$/, 2)
    expect(entries.every(({ caller, decision }) => caller === 'alpha' && decision === 'permit')).toBe(true)
  })

  test.each([
    ['A36 Connection: close', 'Connection: close⏎'],
    ['A36 an expectation of a body that is none', 'Expect: 100-continue⏎'],
    ['A36 an expectation of an empty body', 'Expect: 100-continue⏎Content-Length: 0⏎'],
  ])('nothing is taken in after %s', async (_id, fields) => {
    const sight = await attack(carrier, `GET {T}/1 HTTP/1.1⏎{H}${fields}⏎GET {T}/2 HTTP/1.1⏎{H}⏎`)
    expect(sight.requests.map(({ line }) => line)).toEqual(['GET /1 HTTP/1.1'])
    expect(sight.text.match(/HTTP\/1\.1 200/g)).toHaveLength(1)
    expect(sight.closed).toBe(true)
  })

  // llhttp reads these without a word, and the door sees none of it: what matters is that it is written anew.
  test.each([
    ['A31 more spaces in the request line', 'GET   {T}/odd   HTTP/1.1⏎{H}⏎'],
    ['A39 two empty lines before a request', '⏎⏎GET {T}/odd HTTP/1.1⏎{H}⏎'],
    ['A39 10 000 empty lines before a request', `${'⏎'.repeat(10_000)}GET {T}/odd HTTP/1.1⏎{H}⏎`],
  ])('%s are nothing, and do not travel on', async (_id, template) => {
    const { requests, status } = await attack(carrier, template, { until: /ok$/ })
    expect([status, requests.map(({ line }) => line)]).toEqual([200, ['GET /odd HTTP/1.1']])
  })

  test('A41 a final answer before the body leaves neither connection dirty', async () => {
    // In small letters: the recorder answers whatever looks like a request, and would itself be out of step.
    const body = SMUGGLED.toLowerCase().replaceAll('{t}', '{T}').replaceAll('{h}', '{H}')
    const length = siege.bytes(carrier, body).length
    const sight = await attack(
      carrier,
      `POST {T}/final HTTP/1.1⏎{H}Expect: 100-continue⏎Content-Length: ${length}⏎⏎${body}`,
      { until: /no$/ },
    )
    expect(sight.text).toMatch(/^(?:HTTP\/1\.1 100 Continue\r\n\r\n)?HTTP\/1\.1 401 /)
    expect(sight.requests.filter(({ line }) => line.includes('smuggled'))).toEqual([])
  })

  test('A44 a body that ends early never ends at the upstream', async () => {
    const head = siege.bytes(carrier, 'POST {T}/silent HTTP/1.1⏎{H}Content-Length: 10⏎⏎abc')
    const { result, requests } = await siege.watch(() => halfClosed(siege.address(carrier), head))
    expect(result).toMatch(/^(?:HTTP\/1\.1 400 [\s\S]*)?$/)
    expect(requests).toEqual([])
  })

  test('A45 an answer before the body has passed is whole, and the rest of the body goes nowhere', async () => {
    const body = 'x'.repeat(1 << 20)
    const sight = await attack(carrier, `POST {T}/early HTTP/1.1⏎{H}Content-Length: ${body.length}⏎⏎${body}`, {
      until: /ok$/,
    })
    expect(sight.status).toBe(200)
    expect(sight.text).toMatch(/\r\n\r\nok$/)
    expect(sight.requests.filter(({ line }) => !line.includes('/early'))).toEqual([])
  })
})

test('A26 the header that carries the key is dropped under every name a server may take for it', async () => {
  const head = 'GET http://a.x.test/ HTTP/1.1⏎Host: a⏎{P}X_Api_Key: x⏎x-api_key: x⏎X-API-KEY: x⏎X_API-KEY_: x⏎⏎'
  const { requests } = await attack('forward', head, { until: /ok$/ })
  expect(requests[0]?.head.match(/^x[-_]api.*$/gim)).toEqual([`X-Api-Key: ${siege.credentials['keyed']}`])
})

test('A37 one connection, two targets: each is judged, and the credential stays with its own', async () => {
  const two = 'GET http://api.test/ HTTP/1.1⏎{H}⏎GET http://evil.test/ HTTP/1.1⏎Host: evil.test⏎{P}⏎'
  const sight = await attack('forward', two, { until: /403[\s\S]*\}\n$/ })
  expect(sight.requests.map(({ head }) => valuesIn(head, 'authorization'))).toEqual([
    [`Bearer ${siege.credentials['api']}`],
  ])
  expect(sight.text.match(/HTTP\/1\.1 \d{3}/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 403'])
})

test('A40 a denied request is told so without 100, and its body is not read as a request', async () => {
  const body = siege.bytes('forward', SMUGGLED)
  const head = `POST http://evil.test/ HTTP/1.1⏎Host: a⏎{P}Expect: 100-continue⏎Content-Length: ${body.length}⏎⏎`
  expectRefused(await attack('forward', head + body.toString('latin1')), [403])
})

/** Sends, closes its own half, and reads to the end. */
function halfClosed(address: string, bytes: Buffer): Promise<string> {
  const socket = open(address)
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk))
  socket.on('error', () => undefined)
  socket.end(bytes)
  return new Promise((resolve) => socket.on('close', () => resolve(text)))
}
