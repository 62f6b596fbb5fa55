import { randomBytes } from 'node:crypto'
import { duplexPair } from 'node:stream'
import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { helloFor } from '../support/hello.ts'
import { sendRaw } from '../support/raw-client.ts'
import { eventually } from '../support/sallyport.ts'
import { talk } from '../support/tunnel.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'
import { askInside, askTunnel, attackInside, entryOf, inside, ourCa, readToEnd, tunnelTo } from './inside.ts'
import { besiege, expectRefused, type Siege, type Sight, valuesIn } from './siege.ts'

/** Section D of the catalogue, for CONNECT and for what comes through a tunnel. Ids are the catalogue's. */
let siege: Siege
/** Behind tunnels that pass unopened: it records what comes, as it comes. */
let behind: RawUpstream

beforeAll(async () => {
  behind = await startUpstream()
  siege = await besiege({
    settings: ({ connection }) => ({
      ca: { directory: 'ca' },
      connections: {
        wild: connection('wild', ['*.x.test']),
        scoped: connection('scoped', ['scoped.test']),
        passed: connection('passed', ['none.test'], { ...PASSED, port: behind.port }),
        any: connection('any', ['query.test'], { ...PASSED, port: behind.port, tunnel: 'any' }),
        closed: connection('closed', ['ws.test'], { connect: 'refuse' }),
        ruled: connection('ruled', ['ruled.test'], { ...PASSED, port: behind.port }),
      },
      grants: [
        ...['wild', 'passed', 'any', 'closed'].map((name) => ({ caller: 'alpha', connection: name })),
        { caller: 'alpha', connection: 'scoped', rules: [{ methods: ['GET'], paths: ['/v1/*'] }] },
        { caller: 'alpha', connection: 'ruled', rules: [{ methods: ['GET'] }] },
      ],
      allowlist: ['ruled.test', 'nobody.test'],
      hosts: { 'ruled.test': ['127.0.0.1'] },
    }),
  })
})

afterAll(async () => {
  await siege.end()
  await behind.close()
})

const PASSED = { credential: { kind: 'none' }, connect: 'tunnel' }
const EARLY = 'GET http://api.test/early HTTP/1.1⏎{H}⏎'

/** A CONNECT with a request in the same packet, which would be relayed if it were read. */
function connectTo(target: string, fields = '{H}', version = '1.1'): Promise<Sight> {
  const bytes = siege.bytes('forward', `CONNECT ${target} HTTP/${version}⏎${fields}⏎${EARLY}`)
  return siege.attack(siege.forward, bytes, {})
}

async function expectDenied(target: string, code: string, status = 403): Promise<void> {
  const sight = await connectTo(target)
  expectRefused(sight, [status])
  expect(JSON.parse(sight.text.split('\r\n\r\n')[1] ?? '')).toMatchObject({ status, code })
}

const MALFORMED = '/x * http://api.test/ https://api.test:443/ api.test u@api.test:443 api.test:443/ :443'.split(' ')
const NO_HOSTS =
  '[api.test]:443 [[::1]]:443 ::1:443 api.test..:443 .api.test:443 *.x.test:443 a%70i.test:443 -a.test:443'.split(' ')
const NO_TARGETS = [
  ...MALFORMED,
  ...NO_HOSTS,
  'evil.test\0.api.test:443',
  'api.test\x0b:443',
  'api.test%20:443',
  `${'a'.repeat(64)}.test:443`,
]
const NO_PORTS = ['', ':', '0', '99999', '443x', '0443', '+443', '-1', 'https', '443:443', ' 443', '\xd9\xa4\xd9\xa4']

describe('CONNECT', () => {
  test.each(NO_TARGETS)('D03 D07 D09 D11 D16: %j is no target', async (target) => {
    expectRefused(await connectTo(target), [400])
  })

  test.each(NO_PORTS)('D14: port %j is none', async (port) => {
    expectRefused(await connectTo(`api.test:${port}`), [400])
  })

  test.each([22, 25, 443, 8443])('D15: port %i is not the connection’s', (port) =>
    expectDenied(`api.test:${port}`, 'port-not-allowed'),
  )

  test.each([
    'Content-Length: 5⏎',
    'Transfer-Encoding: chunked⏎',
    'Content-Length: 0⏎Content-Length: 0⏎',
    'Host: b.test⏎',
  ])('D29: %s has no place in it', async (field) =>
    expectRefused(await connectTo(`api.test:${siege.upstream.port}`, `{H}${field}`), [400]),
  )

  test.each([
    'evilapi.test',
    'api.test.evil.test',
    'x.test',
    'localhost',
    'sub.api.test',
    '0x7f.1',
    '127.0.0.1',
    '[::1]',
  ])('D04 D08 E01: %s is not allowed', async (host) =>
    expectRefused(await connectTo(`${host}:${siege.upstream.port}`), [400, 403]),
  )

  test('D13 H04: what is allowed is not yet granted, and what is granted not yet open', async () => {
    await expectDenied(`nobody.test:443`, 'connection-missing')
    await expectDenied(`ws.test:${siege.upstream.port}`, 'connect-refused')
    // Nobody could judge a method in a tunnel that passes unopened.
    await expectDenied(`ruled.test:${behind.port}`, 'rule-not-matched')
  })

  test.each([
    ['none', ''],
    ['a wrong one', 'Proxy-Authorization: Bearer wrong⏎'],
    ['one that is no Basic', 'Proxy-Authorization: Basic ====⏎'],
    ['the place of the origin’s', 'Authorization: Bearer wrong⏎'],
    ['two', '{P}{P}'],
  ])('H01 H02 H05: with %s for a proof it is challenged', async (_what, proof) => {
    const sight = await connectTo(`api.test:${siege.upstream.port}`, `Host: api.test⏎${proof}`)
    expectRefused(sight, [407])
    expect(valuesIn(sight.text, 'proxy-authenticate')).toHaveLength(1)
  })

  test('D28: our own doors are no target', async () => {
    for (const address of [siege.forward, siege.port, siege.sallyport.admin ?? ''])
      expectRefused(await connectTo(address), [403])
    expectRefused(await connectTo(`localhost:${siege.forward.split(':')[1]}`), [403])
  })

  test.each(['API.TEST', 'api.test.', 'Api.Test.'])('D05 D06: %s is api.test', async (host) => {
    const socket = await tunnelTo(siege, { host })
    const secured = await secured11(socket, 'api.test')
    const { text } = await talk(
      secured,
      `GET /spelling HTTP/1.1\r\nHost: ${host}:${siege.upstream.port}\r\n\r\n`,
      /ok$/,
    )
    expect(text).toMatch(/^HTTP\/1\.1 200 /)
    expect(siege.upstream.heads().at(-1)).toContain(`host: api.test:${siege.upstream.port}\r\n`)
  })

  test('in HTTP/1.0, without Host, it opens a tunnel as well', async () => {
    const bytes = siege.bytes('forward', `CONNECT api.test:${siege.upstream.port} HTTP/1.0⏎{P}⏎`)
    expect((await sendRaw(siege.forward, bytes, { until: /\r\n\r\n/ })).status).toBe(200)
  })

  test('behind an unanswered request it is answered by nobody', async () => {
    const { text, sent } = await siege.attack(
      siege.forward,
      siege.bytes(
        'forward',
        `GET http://nobody.test/ HTTP/1.1⏎{H}Expect: 100-continue⏎⏎CONNECT api.test:1 HTTP/1.1⏎{H}⏎`,
      ),
      {},
    )
    expect([text.match(/HTTP\/1\.1 \d{3} /g), sent]).toEqual([['HTTP/1.1 403 '], ''])
  })
})

async function secured11(socket: Awaited<ReturnType<typeof tunnelTo>>, servername: string) {
  const secured = connect({ socket, servername, ca: ourCa(siege), checkServerIdentity: () => undefined })
  secured.on('error', () => undefined)
  await new Promise((resolve) => secured.once('secureConnect', resolve).once('close', resolve))
  return secured
}

const UNFIT_NAMES: readonly [string, string | undefined][] = [
  ['no name', undefined],
  ['an address', '127.0.0.1'],
  ['another name', 'evil.test'],
  ['another host of ours', 'b.test'],
  ['a name below', 'x.api.test'],
  ['a wildcard', '*.test'],
  ['two dots', 'api.test..'],
  ['255 bytes', 'a'.repeat(255)],
  ['a NUL', 'api.test\0.evil.test'],
  ['raw UTF-8', 'äpi.test'],
  ['a byte that shares the lower bits of a letter', '\xe1pi.test'],
]

describe.each([
  ['opened', 'api.test'],
  ['unopened', 'none.test'],
])('a tunnel that is %s', (kind, host) => {
  const port = () => (kind === 'opened' ? siege.upstream.port : behind.port)
  const seen = () => (kind === 'opened' ? siege.upstream.bytes() : behind.bytes())

  test.each(UNFIT_NAMES)('D24 D25: a ClientHello with %s ends in an alert, and goes nowhere', async (_what, name) => {
    const before = seen().length
    const traceId = randomBytes(16).toString('hex')
    const fields = `traceparent: 00-${traceId}-${traceId.slice(16)}-01⏎{P}`
    const socket = await tunnelTo(siege, { host, port: port(), fields })
    const { text, closed } = await readToEnd(socket, await helloFor(name))
    expect([text, closed]).toEqual(['\x15\x03\x03\x00\x02\x02\x70', true])
    expect(seen()).toHaveLength(before)
    expect(await entryOf(siege, { traceId })).toMatchObject({
      code: 'tunnel-unfit',
      caller: 'alpha',
      tunnel: kind,
      ended: 'broken',
      reason: expect.stringMatching(/^the ClientHello names (?:no|another) server$/),
    })
  })

  test.each([
    ['an HTTP request', 'GET / HTTP/1.1\r\nHost: api.test\r\n\r\n'],
    ['a proxy’s request', 'GET http://api.test/ HTTP/1.1\r\nHost: api.test\r\n\r\n'],
    ['another CONNECT', 'CONNECT b.test:443 HTTP/1.1\r\nHost: b.test\r\n\r\n'],
    ['SSH', 'SSH-2.0-OpenSSH_9.9\r\n'],
    ['HTTP/2 in the clear', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['SOCKS', '\x05\x01\x00'],
    ['TLS that begins with an alert', '\x15\x03\x01\x00\x02\x02\x28'],
  ])('D26 I15: %s in place of TLS ends it, in the packet of the CONNECT or behind it', async (_what, bytes) => {
    const before = seen().length
    const later = await readToEnd(await tunnelTo(siege, { host, port: port() }), bytes)
    const atOnce = await readToEnd(await tunnelTo(siege, { host, port: port(), early: bytes }), '')
    expect([later.text, later.closed, atOnce.text, atOnce.closed]).toEqual(['', true, '', true])
    expect(seen()).toHaveLength(before)
  })
})

test.each(['API.TEST', 'api.test.'])('D24: %s in a ClientHello is api.test', async (servername) => {
  const socket = await tunnelTo(siege)
  const secured = await secured11(socket, servername)
  const { text } = await talk(secured, `GET / HTTP/1.1\r\nHost: api.test:${siege.upstream.port}\r\n\r\n`, /ok$/)
  expect(text).toMatch(/^HTTP\/1\.1 200 /)
})

describe('what comes in one packet with a CONNECT', () => {
  test.each([
    ['whole', (hello: Buffer) => hello.length],
    ['a byte of it', () => 1],
    ['half of it', (hello: Buffer) => hello.length >> 1],
  ])('is the beginning of TLS: a ClientHello, %s', async (_how, cut) => {
    const [near, far] = duplexPair()
    const client = connect({ socket: near, servername: 'api.test', ca: ourCa(siege) })
    const hello = await new Promise<Buffer>((resolve) => far.once('data', resolve))
    const socket = await tunnelTo(siege, { early: hello.subarray(0, cut(hello)) })
    socket.write(hello.subarray(cut(hello)))
    far.pipe(socket).pipe(far)
    await new Promise((resolve, reject) => client.once('secureConnect', resolve).once('error', reject))
    const answer = new Promise<string>((resolve) => client.once('data', (chunk: Buffer) => resolve(String(chunk))))
    client.write(`GET /early-hello HTTP/1.1\r\nHost: api.test:${siege.upstream.port}\r\n\r\n`)
    expect(await answer).toMatch(/^HTTP\/1\.1 200 /)
    client.destroy()
  })

  test('goes through an unopened tunnel exactly once, with what follows behind it', async () => {
    for (const early of ['first ', 'f']) {
      const before = behind.bytes().length
      const socket = await tunnelTo(siege, { host: 'query.test', port: behind.port, early })
      socket.write(`${'first '.slice(early.length)}second`)
      const came = () => (behind.bytes().length >= before + 12 ? true : undefined)
      await eventually(came, 'twelve bytes')
      socket.destroy()
      expect(behind.connections.at(-1)?.bytes).toBe('first second')
    }
  })

  test('is a ClientHello that reaches the upstream of an unopened tunnel byte for byte', async () => {
    const hello = await helloFor('none.test')
    const socket = await tunnelTo(siege, { host: 'none.test', port: behind.port, early: hello.subarray(0, 100) })
    socket.write(hello.subarray(100))
    await eventually(() => (behind.connections.at(-1)?.bytes.length === hello.length ? true : undefined), 'the hello')
    expect(behind.connections.at(-1)?.bytes).toBe(hello.toString('latin1'))
  })

  test('is a request, where plain HTTP is expected', async () => {
    const early = `GET /early-request HTTP/1.1\r\nHost: api.test\r\n\r\n`
    const { text } = await talk(await tunnelTo(siege, { port: 80, early }), '', /ok$/)
    expect(text).toMatch(/^HTTP\/1\.1 200 /)
    expect(siege.upstream.heads().filter((head) => head.includes('/early-request'))).toHaveLength(1)
  })
})

describe('in an opened tunnel', () => {
  test.each(['evil.test', 'b.test', 'evil.test:PORT', 'b.test:PORT', 'api.test:1', 'api.test', 'x.api.test:PORT'])(
    'D22: Host %s is misdirected, and ends it',
    async (name) => {
      const host = name.replace('PORT', String(siege.upstream.port))
      const sight = await attackInside(siege, `GET /d22 HTTP/1.1⏎Host: ${host}⏎⏎GET / HTTP/1.1⏎{H}⏎`)
      expectRefused(sight, [421])
      expect(sight.text).toContain('authority-mismatch')
    },
  )

  test.each(['API.TEST:PORT', 'api.test.:PORT'])('D05 D06: Host %s is the tunnel’s', async (name) => {
    const host = name.replace('PORT', String(siege.upstream.port))
    const { requests } = await askInside(siege, `GET / HTTP/1.1⏎Host: ${host}⏎⏎`)
    expect(valuesIn(requests[0]?.head ?? '', 'host')).toEqual([`api.test:${siege.upstream.port}`])
  })

  test('D22: HTTP/1.0 may do without', async () => {
    const { requests } = await askInside(siege, 'GET / HTTP/1.0⏎⏎')
    expect(valuesIn(requests[0]?.head ?? '', 'host')).toEqual([`api.test:${siege.upstream.port}`])
  })

  test.each(['http://api.test/', 'https://api.test/', 'http://evil.test/', '*', 'api.test', '/a#b', '/a\\b'])(
    'D17 D21 D31: %s is no target',
    async (target) => expectRefused(await attackInside(siege, `OPTIONS ${target} HTTP/1.1⏎{H}⏎`), [400]),
  )

  test('D31: OPTIONS of a path is relayed', async () => {
    const { requests } = await askInside(siege, 'OPTIONS / HTTP/1.1⏎{H}⏎')
    expect(requests.map(({ line }) => line)).toEqual(['OPTIONS / HTTP/1.1'])
  })

  test('D19 D20: each request is judged by its own method and path', async () => {
    const asks: [string, number][] = [
      ['GET /v1/a', 200],
      ['POST /v1/a', 403],
      ['HEAD /v1/a', 403],
      ['GET /v1/../admin', 403],
      ['GET /v1/%2e%2e', 403],
      ['GET //v1/a', 403],
      ['GET /v2/a', 403],
      ['GET /v1/b', 200],
    ]
    const socket = await inside(siege, 'scoped.test')
    const statuses: number[] = []
    for (const [line] of asks) {
      const bytes = `${line} HTTP/1.1\r\nHost: scoped.test:${siege.upstream.port}\r\n\r\n`
      const { text } = await talk(socket, bytes, line.startsWith('HEAD') ? /\r\n\r\n/ : /ok$|\}\n$/)
      statuses.push(Number(text.slice(9, 12)))
    }
    socket.destroy()
    expect(statuses).toEqual(asks.map(([, status]) => status))
  })

  test('a CONNECT of its own is refused, whatever comes behind it, and recorded under who sent it', async () => {
    for (const target of [`api.test:${siege.upstream.port}`, 'evil.test:443', '*']) {
      const sight = await attackInside(siege, `CONNECT ${target} HTTP/1.1⏎{H}⏎${EARLY}`)
      expectRefused(sight, [403])
    }
    const entry = await entryOf(siege, { reason: 'CONNECT within a tunnel' })
    expect(entry).toMatchObject({ code: 'connect-refused', caller: 'alpha', status: 403 })
  })
})

describe('CONNECT host:80', () => {
  test('D15: is plain HTTP, which goes out as verified HTTPS, with the credential', async () => {
    const { result, requests } = await siege.watch(async () => {
      const socket = await tunnelTo(siege, { port: 80 })
      const first = await talk(socket, 'GET /a HTTP/1.1\r\nHost: api.test\r\n\r\n', /ok$/)
      const second = await talk(socket, 'GET /b HTTP/1.1\r\nHost: api.test:80\r\n\r\n', /ok$/)
      return first.text + second.text
    })
    expect(result.match(/HTTP\/1\.1 200 /g)).toHaveLength(2)
    for (const { head } of requests)
      expect(valuesIn(head, 'authorization')).toEqual([`Bearer ${siege.credentials['api']}`])
  })

  test('D22: is for no other host, nor port', async () => {
    for (const host of ['evil.test', `api.test:${siege.upstream.port}`, 'b.test']) {
      const { text, closed } = await readToEnd(
        await tunnelTo(siege, { port: 80 }),
        `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
      )
      expect([text.slice(0, 12), closed]).toEqual(['HTTP/1.1 421', true])
    }
  })

  test('D26: carries no TLS', async () => {
    const { text, closed } = await readToEnd(await tunnelTo(siege, { port: 80 }), await helloFor('api.test'))
    expect([text, closed]).toEqual(['', true])
    const reason = 'TLS, or nothing in time, where plain HTTP was announced'
    expect(await entryOf(siege, { reason })).toMatchObject({ code: 'tunnel-unfit', tunnel: 'opened', host: 'api.test' })
  })

  test('is not there where CONNECT is refused', () => expectDenied('ws.test:80', 'connect-refused'))
})

test('no tunnel was asked for that is not in the record, and none without its caller', async () => {
  expect((await askTunnel(siege, { host: 'evil.test' })).status).toBe(403)
  const permitted = (await siege.sallyport.audit(1)).filter(({ decision }) => decision === 'permit')
  expect(permitted.filter(({ caller }) => caller !== 'alpha')).toEqual([])
})
