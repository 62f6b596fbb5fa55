import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sendRaw } from '../support/raw-client.ts'
import { besiege, expectRefused, type Siege, type Sight, valuesIn } from './siege.ts'

/** Sections D and E of the catalogue: whom a target means, in every spelling. Ids are the catalogue's. */
let siege: Siege

beforeAll(async () => {
  siege = await besiege({
    settings: ({ connection }) => ({
      connections: {
        wild: connection('wild', ['*.x.test']),
        scoped: connection('scoped', ['scoped.test']),
        based: connection('based', ['query.test'], { basePath: '/v1' }),
        near: connection('near', ['near.test'], { allowPrivate: [] }),
      },
      grants: [
        ...['wild', 'based', 'near'].map((name) => ({ caller: 'alpha', connection: name })),
        { caller: 'alpha', connection: 'scoped', rules: [{ methods: ['GET'], paths: ['/v1/*', '/v1/deep/**'] }] },
      ],
      allowlist: ['near.test', 'nobody.test'],
      hosts: { 'near.test': ['127.0.0.1'], 'a.b.x.test': ['127.0.0.1'] },
    }),
  })
})

afterAll(() => siege.end())

function attack(template: string, wait: object = { until: /\r\n\r\n[\s\S]*(?:ok|\}\n)$/ }): Promise<Sight> {
  return siege.attack(siege.forward, siege.bytes('forward', template), wait)
}

function get(target: string, wait?: object): Promise<Sight> {
  return attack(`GET ${target} HTTP/1.1⏎Host: api.test⏎{P}⏎`, wait)
}

/** 400 and closed, with nothing sent. */
async function expectMalformed(target: string): Promise<void> {
  expectRefused(await get(target, {}), [400])
}

async function expectDenied(target: string, status = 403): Promise<void> {
  const sight = await get(target)
  expect([target, sight.status, sight.sent]).toEqual([target, status, ''])
}

/** Once, to this host, with the credential of this connection. */
async function expectSent(target: string, host: string, connection: string): Promise<void> {
  const { requests, text } = await get(target)
  expect(requests, text).toHaveLength(1)
  const head = requests[0]?.head ?? ''
  expect(valuesIn(head, 'host')).toEqual([`${host}:${siege.upstream.port}`])
  expect(valuesIn(head, 'authorization')).toEqual([`Bearer ${siege.credentials[connection]}`])
}

test('D01 Host counts for nothing beside an absolute target', async () => {
  const { requests } = await attack('GET http://api.test/ HTTP/1.1⏎Host: evil.test⏎{P}⏎')
  expect(valuesIn(requests[0]?.head ?? '', 'host')).toEqual([`api.test:${siege.upstream.port}`])
  const other = await attack('GET http://evil.test/ HTTP/1.1⏎Host: api.test⏎{P}⏎')
  expect([other.status, other.sent]).toEqual([403, ''])
})

test.each([
  'http://api.test\\@evil.test/',
  'http://evil.test#@api.test/',
  'http://api.test;@evil.test/',
  'http:///api.test',
  'http:api.test',
  'http:/api.test/',
  'http://user@api.test/',
  'http://user:pass@api.test/',
  'http://@api.test/',
  'http://api.test@evil.test/',
  'http://',
  'http:///',
  'http://?',
  'http://:80/',
  '//api.test/',
  '/',
  'api.test',
  '*',
])('D03 %s is no target', expectMalformed)

test.each([
  'evilapi.test',
  'api.test.evil.test',
  'api-test',
  'xapi.test',
  'test',
  'api',
  'localhost',
  'metadata',
  'sub.api.test',
])('D04 E09 %s is not api.test', (host) => expectDenied(`http://${host}/`))

test.each(['api.test.', 'API.TEST', 'aPi.TeSt.', `api.test:PORT`, 'API.test.:PORT'])('D05 D06 %s is api.test', (host) =>
  expectSent(`http://${host.replace('PORT', String(siege.upstream.port))}/`, 'api.test', 'api'),
)

test.each(['HTTP://api.test/', 'https://api.test/', 'HTTPS://API.TEST/', 'http://api.test', 'http://api.test?q'])(
  'D17 %s is taken alike, by the same policy',
  (target) => expectSent(target, 'api.test', 'api'),
)

test.each(['api.test..', '.api.test', 'a..b', '..', '.'])('D05 D13 %s is no name', (host) =>
  expectMalformed(`http://${host}/`),
)

test.each(['[api.test]:443', '[[::1]]:443', '[::1', '::1', '[]', '[::1]]', '[v1.x]', '[::1%25lo]', '[fe80::1%lo]'])(
  'D07 %s is no host',
  (host) => expectMalformed(`http://${host}/`),
)

test('D08 a wildcard covers any depth below, and neither the apex nor a look-alike nor itself', async () => {
  await expectSent('http://a.x.test/', 'a.x.test', 'wild')
  await expectSent('http://a.b.x.test/', 'a.b.x.test', 'wild')
  for (const host of ['x.test', 'evilx.test', 'ax.test']) await expectDenied(`http://${host}/`)
  for (const host of ['*.x.test', '.x.test', '%2a.x.test']) await expectMalformed(`http://${host}/`)
})

const BYTES: readonly string[] = [
  'ａｐｉ.test',
  'api。test',
  'a\u00adpi.test',
  'a\u200dpi.test',
  'faß.test',
  '\u212a.test',
].map((host) => Buffer.from(host).toString('latin1'))

test.each([
  ...BYTES,
  'xn--.test',
  'xn--a.test',
  'xn--99999999999.test',
  'a%70i.test',
  'api%2etest',
  'api.test%00.evil.test',
])('D09 D10 %j is no name on the wire', (host) => expectMalformed(`http://${host}/`))

test.each([
  'evil.test\0.api.test',
  'exa\tmple.test',
  'api.test\x0b',
  'api.test\xa0',
  'api.test%20',
  'api.test ',
  'api\r.test',
  'api,test',
])('D11 D12 %j is no name', (host) => expectMalformed(`http://${host}/`))

test('D13 an underscore is fine where it is listed', () => expectSent('http://a_b.test/', 'a_b.test', 'b'))

test.each(['-a.test', 'a-.test', `${'a'.repeat(64)}.test`, `${'a.'.repeat(125)}test`, 'a b.test', 'a!.test'])(
  'D13 %s is no name',
  (host) => expectMalformed(`http://${host}/`),
)

test.each(['', ':', '0', '99999', '443x', '0443', '+443', '-1', 'https', '\u0664\u0664\u0663', '443:443', ' 443'])(
  'D14 port %j is none, in a target and in a CONNECT',
  async (port) => {
    const wire = Buffer.from(port).toString('latin1')
    await expectMalformed(`http://api.test:${wire}/`)
    expectRefused(await attack(`CONNECT api.test:${wire} HTTP/1.1⏎{H}⏎`, {}), [400])
  },
)

test.each([22, 25, 80, 443, 8443])('D15 port %i is not the connection’s', (port) =>
  expectDenied(`http://api.test:${port}/`),
)

test.each([
  'ftp://api.test/',
  'file:///etc/passwd',
  'gopher://api.test/',
  'ws://api.test/',
  'http+unix://api.test/',
  'httpx://api.test/',
])('D17 D28 %s is no scheme of ours', expectMalformed)

describe('D19 a rule about a path', () => {
  test('lets through what it names, byte by byte', async () => {
    for (const path of ['/v1/a', '/v1/a?x=/../b', '/v1/deep/a/b', '/v1/%41', '/v1/a;b', '/v1/...', '/v1/a..b']) {
      const { requests } = await get(`http://scoped.test${path}`)
      expect(requests.map(({ line }) => line)).toEqual([`GET ${path} HTTP/1.1`])
    }
  })

  const CLIMBING = [
    '/v1/../admin',
    '/v1/%2e%2e/admin',
    '/v1/%2E./admin',
    '/v1/..;/admin',
    '/v1/..;x=1/admin',
    '/v1/%252e%252e/admin',
    '/v1/..',
    '/v1/.',
  ]
  const SLASHES = [
    '//admin',
    '/v1//a',
    '/v1%2f..%2fadmin',
    '/v1/%2f',
    '/v1/a%5c..%5cb',
    '/v1/a%00',
    '/v1/deep//x',
    '/v1/deep/%2e%2e/x',
  ]
  test.each([...CLIMBING, ...SLASHES, '/V1/a', '/v1', '/v1/', '/v1/a/b', '/', '/admin', '/v1a/b'])(
    'refuses %s',
    (path) => expectDenied(`http://scoped.test${path}`),
  )

  test.each(['\\v1\\..\\admin', '/v1\\..\\admin', '/v1/a#/../b'])('%s is no path', (path) =>
    expectMalformed(`http://scoped.test${path}`),
  )

  test.each(['/v2', '/', '/v1/../x', '/v1/%2e%2e/x', '/v10', '/V1', '//v1'])('a base path leaves out %s', (path) =>
    expectDenied(`http://query.test${path}`),
  )
})

test.each(['HEAD', 'POST', 'DELETE', 'OPTIONS', 'QUERY', 'PROPFIND'])(
  'D20 a rule for GET leaves out %s',
  async (method) => {
    const sight = await attack(`${method} http://scoped.test/v1/a HTTP/1.1⏎{H}⏎`, { until: /\r\n\r\n/ })
    expect([sight.status, sight.sent]).toEqual([403, ''])
  },
)

test.each(['http://api.test/x#frag', 'http://api.test/#', 'http://api.test#', 'http://api.test/?q#f'])(
  'D21 %s has a fragment',
  expectMalformed,
)

// What the catalogue asks for, "OPTIONS *" upstream, is nothing that undici can send.
test.each(['*', 'http://api.test', 'http://api.test:443', 'http://scoped.test'])(
  'D31 OPTIONS %s, of a server as a whole, is refused',
  async (target) => {
    expectRefused(await attack(`OPTIONS ${target} HTTP/1.1⏎{H}⏎`, {}), [400])
  },
)

test('D31 OPTIONS of a path is relayed', async () => {
  const { requests } = await attack('OPTIONS http://api.test/ HTTP/1.1⏎{H}⏎')
  expect(requests.map(({ line }) => line)).toEqual(['OPTIONS / HTTP/1.1'])
})

const IPV4 = [
  '127.0.0.1',
  '127.1',
  '0x7f.1',
  '0x7f000001',
  '2130706433',
  '017700000001',
  '0177.0.0.1',
  '0',
  '0.0.0.0',
  '127.0.0.1.',
  '0x',
  '169.254.169.254',
  '10.0.0.1',
]
const CIRCLED = Buffer.from('①②⑦.⓪.⓪.①').toString('latin1')
const IPV6 =
  '[::1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [::ffff:0:7f00:1] [64:ff9b::7f00:1] [64:ff9b:1::a9fe:a9fe] [2002:7f00:1::] [2001:0:4136:e378::] [fe80::1%25lo] [fd00:ec2::254] [fec0::1] [ff02::1] [100::1] [::5efe:7f00:1] [3fff::1] [5f00::1]'.split(
    ' ',
  )

test.each([...IPV4, CIRCLED, ...IPV6])('E01 E02 an address is on no allowlist, in any spelling: %s', async (host) => {
  const connections = siege.upstream.connections.length
  const ports = ['', `:${siege.upstream.port}`]
  for (const port of ports) {
    const sight = await get(`http://${host}${port}/`)
    expect([400, 403], sight.text).toContain(sight.status)
    expect(sight.sent).toBe('')
  }
  const tunnel = await attack(`CONNECT ${host}:${siege.upstream.port} HTTP/1.1⏎{H}⏎`, {})
  expectRefused(tunnel, [400, 403])
  // The honest requests that follow each attack reuse a connection, or open one each.
  expect(siege.upstream.connections.length - connections).toBeLessThanOrEqual(3)
})

test('E04 a name that leads to this machine is not dialled without being told so', async () => {
  const connections = siege.upstream.connections.length
  const sight = await sendRaw(siege.forward, siege.bytes('forward', 'GET http://near.test/ HTTP/1.1⏎{H}⏎'), {
    until: /\}\n$/,
  })
  expect(sight.status).toBe(403)
  expect(sight.text).toContain('address-not-allowed')
  expect(siege.upstream.connections).toHaveLength(connections)
})

test('D13 a name that is allowed and belongs to no connection is refused', () => expectDenied('http://nobody.test/'))

describe('CONNECT', () => {
  const EARLY = 'GET http://api.test/early HTTP/1.1⏎{H}⏎'

  test.each([
    ['407 without a proof', 'CONNECT api.test:443 HTTP/1.1⏎Host: api.test⏎⏎', 407],
    ['407 with a wrong one', 'CONNECT api.test:443 HTTP/1.1⏎Host: api.test⏎Proxy-Authorization: Bearer wrong⏎⏎', 407],
    ['403 with one', 'CONNECT api.test:443 HTTP/1.1⏎{H}⏎', 403],
    ['403 whatever the target', 'CONNECT evil.test:22 HTTP/1.1⏎{H}⏎', 403],
    ['403 in HTTP/1.0', 'CONNECT api.test:443 HTTP/1.0⏎{P}⏎', 403],
    ['400 D29 with CL', 'CONNECT api.test:443 HTTP/1.1⏎{H}Content-Length: 5⏎⏎', 400],
    ['400 D29 with TE', 'CONNECT api.test:443 HTTP/1.1⏎{H}Transfer-Encoding: chunked⏎⏎', 400],
    ['400 with two Hosts', 'CONNECT api.test:443 HTTP/1.1⏎{H}Host: b.test⏎⏎', 400],
    ['400 D16 to a path', 'CONNECT /x HTTP/1.1⏎{H}⏎', 400],
    ['400 D16 to a URL', 'CONNECT http://api.test/ HTTP/1.1⏎{H}⏎', 400],
    ['400 D16 to *', 'CONNECT * HTTP/1.1⏎{H}⏎', 400],
    ['400 D16 to a name alone', 'CONNECT api.test HTTP/1.1⏎{H}⏎', 400],
    ['400 D16 with a user', 'CONNECT u@api.test:443 HTTP/1.1⏎{H}⏎', 400],
    ['400 D11 with NUL', 'CONNECT evil.test\0.api.test:443 HTTP/1.1⏎{H}⏎', 400],
  ])('%s, and what comes with it is not read', async (_name, template, status) => {
    const sight = await attack(template + EARLY, {})
    expectRefused(sight, [status])
    expect(sight.text).toMatch(/^HTTP\/1\.1 \d{3} [A-Z][\w ]+\r\n/)
    expect(JSON.parse(sight.text.split('\r\n\r\n')[1] ?? '')).toMatchObject({
      status,
      code: expect.any(String),
      detail: expect.any(String),
    })
    expect(valuesIn(sight.text, 'proxy-authenticate')).toHaveLength(status === 407 ? 1 : 0)
  })

  test('is no way through a reverse door either', async () => {
    const sight = await siege.attack(
      siege.reverse,
      siege.bytes('reverse', `CONNECT api.test:443 HTTP/1.1⏎{H}⏎${EARLY}`),
    )
    expectRefused(sight, [400, 401, 403])
  })
})
