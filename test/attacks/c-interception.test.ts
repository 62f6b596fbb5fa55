import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drain } from '../support/peers.ts'
import { eventually } from '../support/sallyport.ts'
import { secureTunnel, talk } from '../support/tunnel.ts'
import type { Step } from '../support/upstream.ts'
import { askInside, askTunnel, attackInside, inside, ourCa, tunnelTo } from './inside.ts'
import { besiege, expectRefused, type Siege, type Sight, valuesIn } from './siege.ts'

/** Sections A, C and H of the catalogue, inside a tunnel that is opened. Ids are the catalogue's. */
let siege: Siege

const SWITCH =
  'Connection: Upgrade⏎Upgrade: websocket⏎Sec-WebSocket-Version: 13⏎Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==⏎'
const answers = new Map<string, readonly Step[]>()

beforeAll(async () => {
  siege = await besiege({
    script: (path) => answers.get(path),
    settings: ({ connection }) => ({
      ca: { directory: 'ca' },
      connections: {
        ws: connection('ws', ['ws.test'], { websocket: true, limits: { responseTimeoutMs: 2_000 } }),
        none: connection('none', ['none.test'], { credential: { kind: 'none' }, connect: 'intercept' }),
      },
      grants: ['ws', 'none'].map((name) => ({ caller: 'alpha', connection: name })),
    }),
  })
})

afterAll(() => siege.end())

/** One request went up, with the one credential, and no proof of any caller. */
function expectInjected({ requests, sent, text }: Sight, name = 'api'): string {
  expect(requests, text).toHaveLength(1)
  const head = requests[0]?.head ?? ''
  expect(valuesIn(head, 'authorization')).toEqual([`Bearer ${siege.credentials[name]}`])
  expect(sent).not.toContain(siege.keys.alpha)
  expect(sent).not.toMatch(/proxy-auth/i)
  return head
}

test.each([
  ['C01: Connection names Authorization', 'Connection: close, Authorization⏎'],
  ['C01: Connection names Host and Via', 'Connection: Host, Via, Authorization, Content-Length⏎'],
  ['C02: Connection names a field', 'Connection: X-Foo⏎X-Foo: EVIL⏎'],
  ['C05: fields of one hop', 'Proxy-Connection: EVIL⏎Keep-Alive: EVIL⏎TE: EVIL⏎Upgrade: EVIL⏎Trailer: EVIL⏎'],
  ['C06 C07: a credential of the caller’s own', 'Authorization: Bearer EVIL⏎aUTHORIZATION: EVIL⏎authorization_: EVIL⏎'],
  ['C08: another method', 'X-HTTP-Method-Override: EVIL⏎X-Original-URL: EVIL⏎X-Forwarded-Host: EVIL⏎'],
  ['C11: HTTP/2 in the clear', 'Connection: Upgrade, HTTP2-Settings⏎Upgrade: h2c⏎HTTP2-Settings: EVIL⏎'],
  ['C15: a switch to anything', 'Connection: Upgrade⏎Upgrade: EVIL/1⏎'],
  ['C15: a list of switches', 'Connection: Upgrade⏎Upgrade: EVIL, websocket⏎'],
  ['H06 H07: the proof of another caller', 'Proxy-Authorization: Bearer EVIL⏎PROXY-AUTHORIZATION: EVIL⏎'],
])('%s: none of it leaves the tunnel, and the credential stays', async (_id, fields) => {
  const head = expectInjected(await askInside(siege, `GET / HTTP/1.1⏎{H}${fields}⏎`))
  expect(head).not.toContain('EVIL')
  expect(valuesIn(head, 'host')).toEqual([`api.test:${siege.upstream.port}`])
  expect(valuesIn(head, 'via')).toEqual([expect.stringMatching(/^1\.1 sallyport-\w+$/)])
  expect(head).not.toMatch(/^(?:te|upgrade|keep-alive|trailer|proxy-.*):/im)
})

test('H07: a tunnel stays its caller’s, whoever its requests claim to be', async () => {
  const proof = `Proxy-Authorization: Basic ${Buffer.from(`beta:${siege.keys.beta}`).toString('base64')}⏎`
  const { sent, status } = await askInside(siege, `GET /whose HTTP/1.1⏎{H}${proof}⏎`)
  expect(status).toBe(200)
  expect(sent).not.toContain(siege.keys.beta)
  const [entry] = await siege.entries(/^\/whose$/, 1)
  expect(entry).toMatchObject({ caller: 'alpha', door: expect.stringMatching(/^intercept /) })
})

test.each([
  ['TRACE', 'TRACE / HTTP/1.1⏎{H}⏎'],
  ['TRACE Max-Forwards: 0', 'TRACE / HTTP/1.1⏎{H}Max-Forwards: 0⏎⏎'],
  ['OPTIONS Max-Forwards: 0', 'OPTIONS / HTTP/1.1⏎{H}Max-Forwards: 0⏎⏎'],
])('C09: %s is answered here, without an echo', async (_id, template) => {
  const { status, text, sent } = await askInside(siege, template)
  expect([status, sent]).toEqual([405, ''])
  expect(valuesIn(text, 'allow')).toHaveLength(1)
  for (const secret of [siege.keys.alpha, siege.credentials['api'] ?? 'none']) expect(text).not.toContain(secret)
})

test('C10: what has been here opens no tunnel, and goes through none', async () => {
  const [via = ''] = valuesIn(expectInjected(await askInside(siege, 'GET / HTTP/1.1⏎{H}⏎')), 'via')
  const again = await askInside(siege, `GET / HTTP/1.1⏎{H}Via: 1.1 other, ${via}⏎⏎`)
  expect([again.status, again.sent]).toEqual([508, ''])
  const { status } = await askTunnel(siege, { fields: `Via: ${via}⏎{P}` })
  expect(status).toBe(508)
})

test('C12: a WebSocket where the connection has none is refused', async () => {
  expectRefused(await attackInside(siege, `GET / HTTP/1.1⏎{H}${SWITCH}⏎\x81\x00`), [403])
})

test('C12: a switch behind a request that is still being answered closes the tunnel', async () => {
  answers.set('/slow', ['hang'])
  const sight = await attackInside(siege, `GET /slow HTTP/1.1⏎{H}⏎GET / HTTP/1.1⏎{H}${SWITCH}⏎`)
  expect([sight.text, sight.closed]).toEqual(['', true])
})

test('C13: a WebSocket: one credential in the handshake, a clean 101, frames both ways', async () => {
  const key = randomBytes(16).toString('base64')
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  const answer = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade, X-Foo\r\nX-Foo: EVIL\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\nKeep-Alive: EVIL\r\n\r\n\x81\x02up`
  answers.set('/socket', [{ send: Buffer.from(answer, 'latin1') }])
  const { result, requests, sent } = await siege.watch(async () => {
    const socket = await inside(siege, 'ws.test')
    const fields = `Host: ws.test:${siege.upstream.port}⏎${SWITCH.replace(`${'A'.repeat(22)}==`, key)}`
    const { text } = await talk(socket, siege.bytes('forward', `GET /socket HTTP/1.1⏎${fields}⏎`), /\x81\x02up$/)
    socket.write(Buffer.from('\x81\x04down', 'latin1'))
    await eventually(() => siege.upstream.bytes().includes('\x81\x04down') || undefined, 'the frame at the upstream')
    socket.destroy()
    return text
  })
  expect(result).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n[\s\S]*\x81\x02up$/)
  expect(result).not.toContain('EVIL')
  expect(valuesIn(requests[0]?.head ?? '', 'authorization')).toEqual([`Bearer ${siege.credentials['ws']}`])
  expect(sent).not.toContain(siege.keys.alpha)
})

test('C13: an upstream that declines a handshake and dies in the middle: an incomplete answer, and nothing else', async () => {
  const half = 'HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf'
  const { result } = await siege.watch(async () => {
    const socket = await inside(siege, 'ws.test')
    answers.set('/declines', [{ send: half }, { wait: once(socket, 'data') }, 'fin'])
    const all = drain(socket)
    const fields = `Host: ws.test:${siege.upstream.port}⏎${SWITCH}`
    socket.write(siege.bytes('forward', `GET /declines HTTP/1.1⏎${fields}⏎`))
    return all
  })
  expect(result.isClean).toBe(false)
  expect(String(result.bytes)).toMatch(/^HTTP\/1\.1 403 [\s\S]*half$/)
  expect((await siege.entries(/^\/declines$/, 1))[0]).toMatchObject({ ended: 'broken', caller: 'alpha' })
})

test('C14: a handshake with a body is refused', async () => {
  const body = 'Content-Length: 4⏎⏎abcdEXTRA'
  expectRefused(await attackInside(siege, `POST / HTTP/1.1⏎{H}${SWITCH}${body}`, { host: 'ws.test' }), [400])
})

test('C15: an upstream that switches although nobody asked is malformed', async () => {
  answers.set('/switch', [{ send: 'HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: foo/1\r\n\r\nEVIL' }])
  const sight = await askInside(siege, 'GET /switch HTTP/1.1⏎{H}Connection: Upgrade⏎Upgrade: foo/1⏎⏎')
  expect(sight.status).toBe(502)
  expect(sight.text).not.toContain('EVIL')
})

describe('a request in a tunnel is parsed as strictly as at the door', () => {
  test.each([
    ['A01: both framings', 'POST / HTTP/1.1⏎{H}Content-Length: 5⏎Transfer-Encoding: chunked⏎⏎0⏎⏎', [400]],
    ['A03: two lengths', 'POST / HTTP/1.1⏎{H}Content-Length: 0⏎Content-Length: 31⏎⏎', [400]],
    ['A08: a coding that we do not know', 'POST / HTTP/1.1⏎{H}Transfer-Encoding: gzip, chunked⏎⏎0⏎⏎', [501]],
    ['A13: a chunk size that is none', 'POST / HTTP/1.1⏎{H}Transfer-Encoding: chunked⏎⏎0x1⏎a⏎0⏎⏎', [400]],
    ['A19: bare LF', 'GET / HTTP/1.1\nHost: api.test\n\n', [400]],
    ['A26: a look-alike of a framing field', 'POST / HTTP/1.1⏎{H}Content_Length: 5⏎⏎', [400]],
    ['A28: too many fields', `GET / HTTP/1.1⏎{H}${'A: b⏎'.repeat(250)}⏎`, [431]],
    ['A29: HTTP/0.9', 'GET /⏎⏎', [400, 505]],
    ['A30: HTTP/2.0', 'GET / HTTP/2.0⏎{H}⏎', [505]],
    ['A33: two Hosts', 'GET / HTTP/1.1⏎{H}{H}⏎', [400]],
    ['A34: no Host', 'GET / HTTP/1.1⏎⏎', [400]],
    ['A42: an expectation', 'GET / HTTP/1.1⏎{H}Expect: 200-ok⏎⏎', [417]],
    ['I04: a head of 17 KiB', `GET / HTTP/1.1⏎{H}X: ${'a'.repeat(17_000)}⏎⏎`, [431]],
    ['I04: a target of 9 KiB', `GET /${'a'.repeat(9_000)} HTTP/1.1⏎{H}⏎`, [414]],
  ])('%s', async (_id, template, statuses) => {
    // What an attacker would have smuggled behind it.
    const sight = await attackInside(siege, `${template}GET /smuggled HTTP/1.1⏎{H}⏎`)
    expect(sight.sent).not.toContain('smuggled')
    expect(sight.text.match(/HTTP\/1\.1 \d{3} /g)).toHaveLength(1)
    expect([statuses, sight.closed]).toEqual([expect.arrayContaining([sight.status]), true])
  })

  test('A35: requests of one packet are answered in their order, each with the credential', async () => {
    const path = (at: number) => `/pipe-${at}`
    for (const at of [1, 2, 3]) {
      const body = String(at).repeat(3)
      answers.set(path(at), [{ send: `HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n${body}` }])
    }
    const bytes = [1, 2, 3].map((at) => `POST ${path(at)} HTTP/1.1⏎{H}Content-Length: 4⏎⏎body`).join('')
    const { text, requests } = await attackInside(siege, bytes, { until: /333$/ })
    expect([...text.matchAll(/\r\n\r\n(\d+)/g)].map(([, body]) => body)).toEqual(['111', '222', '333'])
    expect(requests.map(({ body }) => body)).toEqual(['body', 'body', 'body'])
    for (const { head } of requests)
      expect(valuesIn(head, 'authorization')).toEqual([`Bearer ${siege.credentials['api']}`])
  })

  test('A36: what follows the last request is not read', async () => {
    const { text, requests } = await attackInside(
      siege,
      'GET /last HTTP/1.1⏎{H}Connection: close⏎⏎GET /after HTTP/1.1⏎{H}⏎',
    )
    expect(text.match(/HTTP\/1\.1 200 /g)).toHaveLength(1)
    expect(requests.map(({ line }) => line)).toEqual(['GET /last HTTP/1.1'])
  })

  test('A37 D27: of two requests of one packet, the one for another host is misdirected, and the tunnel is over', async () => {
    const evil = `GET /2 HTTP/1.1⏎Host: b.test:${siege.upstream.port}⏎⏎`
    const sight = await attackInside(siege, `GET /1 HTTP/1.1⏎{H}⏎${evil}GET /3 HTTP/1.1⏎{H}⏎`)
    expect(sight.text.match(/HTTP\/1\.1 \d{3} /g)).toEqual(['HTTP/1.1 200 ', 'HTTP/1.1 421 '])
    expect(sight.requests.map(({ line }) => line)).toEqual(['GET /1 HTTP/1.1'])
    expect(sight.sent).not.toContain(siege.credentials['b'])
    expect(sight.closed).toBe(true)
  })
})

test('A40: a body that waits for 100-continue behind a refusal is not read as a request', async () => {
  const sight = await attackInside(
    siege,
    'POST /../x HTTP/1.1⏎Host: evil.test⏎Expect: 100-continue⏎Content-Length: 40⏎⏎GET /smuggled HTTP/1.1⏎{H}⏎',
  )
  expectRefused(sight, [421])
})

test('I02: a tunnel in which nothing comes, and one in which a head never ends, are closed in time', async () => {
  const secured = await inside(siege)
  const [silent, slow] = await Promise.all([
    inside(siege).then((socket) => talk(socket, '', /(?!)/, 40_000)),
    talk(secured, 'GET / HTTP/1.1\r\nHost: a', /(?!)/, 40_000),
  ])
  expect(slow.text).toMatch(/^HTTP\/1\.1 408 /)
  expect([silent.closed, slow.closed]).toEqual([true, true])
})

test('G09: two callers of one host never meet on an upstream connection', async () => {
  const rounds = Array.from({ length: 10 }, (_, at) => at)
  const ask = async (name: 'alpha' | 'beta', at: number) => {
    const basic = Buffer.from(`${name}:${siege.keys[name]}`).toString('base64')
    const raw = await tunnelTo(siege, { fields: `Proxy-Authorization: Basic ${basic}⏎` })
    const socket = await secureTunnel(raw, 'api.test', { ca: ourCa(siege) })
    const host = `Host: api.test:${siege.upstream.port}`
    const { text } = await talk(socket, `GET /of-${name}-${at} HTTP/1.1\r\n${host}\r\n\r\n`, /ok$/)
    socket.destroy()
    return text.slice(0, 12)
  }
  const statuses = await Promise.all(rounds.flatMap((at) => [ask('alpha', at), ask('beta', at)]))
  expect(new Set(statuses)).toEqual(new Set(['HTTP/1.1 200']))
  const users = siege.upstream.connections.map(
    ({ bytes }) => new Set([...bytes.matchAll(/GET \/of-(alpha|beta)-/g)].map(([, name]) => name)).size,
  )
  expect(Math.max(...users)).toBe(1)
})
