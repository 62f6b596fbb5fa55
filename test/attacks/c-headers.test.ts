import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../support/ports.ts'
import { open } from '../support/raw-client.ts'
import { eventually } from '../support/sallyport.ts'
import type { Step } from '../support/upstream.ts'
import { besiege, CARRIERS, type Carrier, expectRefused, type Siege, type Sight, valuesIn } from './siege.ts'

/** Section C of the catalogue: fields of one hop, fields that are managed, and switches. Ids are the catalogue's. */
let siege: Siege

const SWITCH =
  'Connection: Upgrade⏎Upgrade: websocket⏎Sec-WebSocket-Version: 13⏎Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==⏎'
const answers = new Map<string, readonly Step[]>()

beforeAll(async () => {
  const own = await freePort()
  siege = await besiege({
    script: (path) => answers.get(path),
    settings: ({ connection }) => ({
      listeners: [{ kind: 'forward', listen: `127.0.0.1:${own}` }],
      connections: {
        ws: connection('ws', ['ws.test'], { websocket: true, limits: { responseTimeoutMs: 2_000 } }),
        none: connection('none', ['none.test'], { credential: { kind: 'none' } }),
        loop: connection('loop', ['a.x.test'], { port: own }),
      },
      grants: ['ws', 'none', 'loop'].map((name) => ({ caller: 'alpha', connection: name })),
    }),
  })
})

afterAll(() => siege.end())

function attack(
  carrier: Carrier,
  template: string,
  wait: object = { until: /\r\n\r\n[\s\S]*(?:ok|\}\n)$/ },
): Promise<Sight> {
  return siege.attack(siege.address(carrier), siege.bytes(carrier, template), wait)
}

/** One request went up, with the one credential, and no proof of any caller. */
function expectInjected({ requests, sent, text }: Sight, name = 'api'): string {
  expect(requests, text).toHaveLength(1)
  const head = requests[0]?.head ?? ''
  expect(valuesIn(head, 'authorization')).toEqual([`Bearer ${siege.credentials[name]}`])
  expect(sent).not.toContain(siege.keys.alpha)
  expect(sent).not.toMatch(/proxy-auth/i)
  return head
}

const OTHERS = Array.from({ length: 400 }, (_, at) => `x-option-${at}`).join(',')

describe.each(CARRIERS)('%s', (carrier) => {
  test.each([
    ['C01 Connection names Authorization', 'Connection: close, Authorization⏎'],
    ['C01 Connection names Host and Via', 'Connection: Host, Via, Authorization, Content-Length⏎'],
    ['C02 Connection names a field', 'Connection: X-Foo⏎X-Foo: EVIL⏎'],
    ['C02 the field comes first', 'X-Foo: EVIL⏎Connection: X-Foo⏎'],
    [
      'C04 three Connection fields',
      'Connection: a⏎cONNECTION: ,X-Foo,,⏎X-Foo: EVIL⏎CONNECTION: \t x-bar \t⏎X-BAR: EVIL⏎',
    ],
    ['C04 4 KiB of options', `Connection: ${OTHERS},X-Foo⏎X-Foo: EVIL⏎X-Option-399: EVIL⏎`],
    ['C05 fields of one hop', 'Proxy-Connection: EVIL⏎Keep-Alive: EVIL⏎TE: EVIL⏎Upgrade: EVIL⏎Trailer: EVIL⏎'],
    ['C05 fields of proxies', 'Proxy-Authenticate: EVIL⏎Proxy-Authentication-Info: EVIL⏎Proxy_Authorization: EVIL⏎'],
    ['C07 look-alikes of Authorization', 'authorization_: EVIL⏎AUTHORIZATION__: EVIL⏎'],
    [
      'C08 whom the caller speaks for',
      'X-Forwarded-For: EVIL⏎X-FORWARDED-PROTO: EVIL⏎X_Forwarded_Host: EVIL⏎Forwarded: EVIL⏎X-Real-Ip: EVIL⏎',
    ],
    ['C08 another method', 'X-HTTP-Method-Override: EVIL⏎X-Http-Method: EVIL⏎X-Method-Override: EVIL⏎'],
    ['C11 HTTP/2 in the clear', 'Connection: Upgrade, HTTP2-Settings⏎Upgrade: h2c⏎HTTP2-Settings: EVIL⏎'],
    ['C15 a switch to anything', 'Connection: Upgrade⏎Upgrade: EVIL/1⏎'],
    ['C15 a list of switches', 'Connection: Upgrade⏎Upgrade: EVIL, websocket⏎'],
    [
      'C17 names of managed fields elsewhere',
      'Trailer: Authorization⏎Access-Control-Request-Headers: authorization⏎Vary: Authorization⏎',
    ],
  ])('%s: none of it travels on, and the credential stays', async (_id, fields) => {
    const head = expectInjected(await attack(carrier, `GET {T}/ HTTP/1.1⏎{H}${fields}⏎`))
    expect(head).not.toContain('EVIL')
    expect(valuesIn(head, 'host')).toEqual([`api.test:${siege.upstream.port}`])
    expect(valuesIn(head, 'via')).toEqual([expect.stringMatching(/^1\.1 sallyport-\w+$/)])
    expect(head).not.toMatch(/^(?:te|upgrade|keep-alive|trailer|proxy-.*):/im)
  })

  test('C08 Via grows', async () => {
    const head = expectInjected(await attack(carrier, 'GET {T}/ HTTP/1.1⏎{H}Via: 1.0 a⏎Via: 1.1 b⏎⏎'))
    expect(valuesIn(head, 'via')).toEqual([expect.stringMatching(/^1\.0 a, 1\.1 b, 1\.1 sallyport-\w+$/)])
  })

  test.each([
    ['TRACE', 'TRACE {T}/ HTTP/1.1⏎{H}⏎'],
    ['TRACE Max-Forwards: 0', 'TRACE {T}/ HTTP/1.1⏎{H}Max-Forwards: 0⏎⏎'],
    ['OPTIONS Max-Forwards: 0', 'OPTIONS {T}/ HTTP/1.1⏎{H}Max-Forwards: 0⏎⏎'],
    ['OPTIONS Max-Forwards: 00', 'OPTIONS {T}/ HTTP/1.1⏎{H}Max-Forwards: 00⏎⏎'],
  ])('C09 %s is answered here, without an echo', async (_id, template) => {
    const { status, text, sent } = await attack(carrier, template)
    expect([status, sent]).toEqual([405, ''])
    expect(valuesIn(text, 'allow')).toHaveLength(1)
    expect(text).not.toContain(siege.keys.alpha)
    expect(text).not.toMatch(/credential-api/)
  })

  test('C10 a request that has been here is not sent round again', async () => {
    const [via = ''] = valuesIn(expectInjected(await attack(carrier, 'GET {T}/ HTTP/1.1⏎{H}⏎')), 'via')
    const again = await attack(carrier, `GET {T}/ HTTP/1.1⏎{H}Via: 1.1 other, ${via}⏎⏎`)
    expect([again.status, again.sent]).toEqual([508, ''])
  })

  test('C12 a WebSocket where the connection has none is refused', async () => {
    expectRefused(await attack(carrier, `GET {T}/ HTTP/1.1⏎{H}${SWITCH}⏎\x81\x00`, {}), [403])
  })

  test('C14 a handshake with a body is refused', async () => {
    const body = 'Content-Length: 4⏎⏎abcdEXTRA'
    expectRefused(await attack(carrier, `POST {T}/ HTTP/1.1⏎{H}${SWITCH}${body}`, {}), [400, 403])
  })

  test('C12 a switch behind a request that is still being answered closes the connection', async () => {
    answers.set('/slow', ['hang'])
    const two = `GET {T}/slow HTTP/1.1⏎{H}⏎GET {T}/ HTTP/1.1⏎{H}${SWITCH}⏎`
    const sight = await attack(carrier, two, {})
    expect([sight.text, sight.closed]).toEqual(['', true])
  })
})

test('C06 C07 on the forward door a credential of the caller’s own is replaced', async () => {
  const own = 'Authorization: Bearer EVIL⏎aUTHORIZATION: EVIL⏎'
  const head = expectInjected(await attack('forward', `GET {T}/ HTTP/1.1⏎{H}${own}⏎`))
  expect(head).not.toContain('EVIL')
})

test('C06 on the reverse door two keys are one too many', async () => {
  const { status, sent } = await attack('reverse', 'GET {T}/ HTTP/1.1⏎{H}Authorization: Bearer EVIL⏎⏎')
  expect([status, sent]).toEqual([401, ''])
})

test('C06 where nothing is injected, Authorization is the caller’s own', async () => {
  const sight = await attack('forward', 'GET http://none.test/ HTTP/1.1⏎Host: a⏎{P}Authorization: Bearer mine⏎⏎')
  expect(valuesIn(sight.requests[0]?.head ?? '', 'authorization')).toEqual(['Bearer mine'])
  expect(sight.sent).not.toMatch(/proxy-auth/i)
})

test('C10 D28 a connection that leads to our own door is refused at the dial', async () => {
  const { status, sent } = await attack('forward', 'GET http://a.x.test/ HTTP/1.1⏎Host: a⏎{P}⏎')
  expect([status, sent]).toEqual([508, ''])
})

test('C15 an upstream that switches although nobody asked has its connection closed', async () => {
  answers.set('/switch', [{ send: 'HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: foo/1\r\n\r\nEVIL' }])
  const sight = await attack('forward', 'GET {T}/switch HTTP/1.1⏎{H}Connection: Upgrade⏎Upgrade: foo/1⏎⏎')
  expect(sight.status).toBe(502)
  expect(sight.text).not.toContain('EVIL')
  const used = siege.upstream.connections.find(({ bytes }) => bytes.includes('GET /switch '))
  await eventually(() => used?.closed || undefined, 'the upstream connection to be closed')
})

test('C13 a WebSocket: one credential in the handshake, a clean 101, frames both ways', async () => {
  const key = randomBytes(16).toString('base64')
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  const answer = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade, X-Foo\r\nX-Foo: EVIL\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\nKeep-Alive: EVIL\r\n\r\n\x81\x02up`
  answers.set('/socket', [{ send: Buffer.from(answer, 'latin1') }])
  const { result, requests, sent } = await siege.watch(() => switched(key))
  expect(result).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n[\s\S]*\x81\x02up$/)
  expect(result).not.toContain('EVIL')
  expect(valuesIn(requests[0]?.head ?? '', 'authorization')).toEqual([`Bearer ${siege.credentials['ws']}`])
  expect(sent).toContain('\x81\x04down')
  expect(sent).not.toContain(siege.keys.alpha)
})

/** Opens a WebSocket, waits for the first frame, answers it, and leaves. */
async function switched(key: string): Promise<string> {
  const head = `GET http://ws.test/socket HTTP/1.1⏎Host: ws.test⏎{P}${SWITCH.replace('A'.repeat(22) + '==', key)}⏎`
  const socket = open(siege.forward)
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk))
  socket.on('error', () => undefined)
  socket.write(siege.bytes('forward', head))
  await eventually(() => (socket.destroyed || text.endsWith('up') ? true : undefined), 'the first frame')
  socket.write(Buffer.from('\x81\x04down', 'latin1'))
  const came = () => siege.upstream.bytes().includes('\x81\x04down')
  await eventually(() => (socket.destroyed || came() ? true : undefined), 'the frame at the upstream')
  socket.destroy()
  return text
}
