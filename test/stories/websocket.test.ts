import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:https'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { sendRaw } from '../support/raw-client.ts'
import { eventually, type Running } from '../support/sallyport.ts'
import { OK, type RawUpstream, type Step, startUpstream } from '../support/upstream.ts'
import { authority, CALLER_KEY, CREDENTIAL, connectionTo, doorOf, hold, PROOF, startCrm, stopCrm } from './crm.ts'

const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
/** Long enough for what answers at once on a busy machine. */
const RESPONSE_TIMEOUT_MS = 2_000

let chat: WebSocketServer
let raw: RawUpstream
let sallyport: Running

beforeAll(async () => {
  const identity = await authority.issue(['chat.test', 'raw.test', 'plain.test', 'narrow.test', 'patient.test'])
  const server = createServer(identity)
  chat = new WebSocketServer({ server })
  chat.on('connection', (socket) => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number } // a TCP server has an address of this form
  raw = await startUpstream(answerOf, identity)
  const websocket = { websocket: true, limits: { responseTimeoutMs: RESPONSE_TIMEOUT_MS } }
  const connections = {
    chat: connectionTo('chat.test', port, websocket),
    raw: connectionTo('raw.test', raw.port, websocket),
    narrow: connectionTo('narrow.test', raw.port, { websocket: true, limits: { maxConcurrent: 1 } }),
    plain: connectionTo('plain.test', raw.port),
    // Where an answer may take its time, nothing but the caller ends the wait for it.
    patient: connectionTo('patient.test', raw.port, { websocket: true, limits: { responseTimeoutMs: 60_000 } }),
  }
  sallyport = await startCrm({
    port,
    settings: {
      listeners: [
        { kind: 'forward', listen: '127.0.0.1:0' },
        { kind: 'reverse', listen: 'unix:all.sock' },
      ],
      allowlist: ['*.test'],
      connections,
      grants: Object.keys(connections).map((connection) => ({ caller: 'checkout', connection })),
      dns: { hosts: Object.fromEntries(Object.keys(connections).map((name) => [`${name}.test`, ['127.0.0.1']])) },
    },
  })
})

afterAll(async () => {
  await stopCrm(sallyport)
  await raw?.close()
  for (const socket of chat?.clients ?? []) socket.terminate()
  chat?.options.server?.close()
})

const ACCEPT = createHash('sha1').update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade'

/** What the raw upstream does, by path. */
const SCRIPTS: Readonly<Record<string, readonly Step[]>> = {
  '/switch': [{ send: `${SWITCH}\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n\r\n` }, 'hang'],
  '/wrong-accept': [{ send: `${SWITCH}\r\nSec-WebSocket-Accept: ${KEY}\r\n\r\nEVIL` }],
  '/other-protocol': [
    { send: `${SWITCH.replace('websocket', 'foo/1')}\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n\r\nEVIL` },
  ],
  '/fields': [
    {
      send: `${SWITCH}, X-Hop\r\nSec-WebSocket-Accept: ${ACCEPT}\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nProxy-Status: evil\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nSec-WebSocket-Protocol: chat\r\n\r\n`,
    },
    'hang',
  ],
  '/401': [
    {
      send: 'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm="inner"\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=5\r\n\r\n',
    },
    { send: '5\r\nplea' },
    { send: 'd\r\n1\r\n!\r\n0\r\nX-Trailer: 1\r\n\r\n' },
  ],
  '/200': [{ send: 'HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nplain' }],
  '/dies': [{ send: 'HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf ' }, 'fin'],
  '/odd-coding': [{ send: 'HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n' }],
  '/garbage': [{ send: 'SSH-2.0-sshd\r\n\r\n' }],
  '/hang': ['hang'],
}

function answerOf(head: string): readonly Step[] {
  if (/^Upgrade: foo/im.test(head)) return [{ send: `${SWITCH.replace('websocket', 'foo/1')}\r\n\r\nEVIL` }]
  if (head.startsWith('GET /hints ')) return hints()
  if (head.startsWith('GET /hang?')) return ['hang']
  return SCRIPTS[head.split(' ')[1] ?? ''] ?? OK
}

/** Each one in time for an idle timeout to begin anew, and no end in sight. */
function hints(): Step[] {
  return Array.from({ length: 40 }, (_, count): Step[] => [
    { wait: delay((count * RESPONSE_TIMEOUT_MS) / 5) },
    { send: 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n' },
  ]).flat()
}

type DoorKind = 'forward' | 'reverse'
const DOORS: readonly DoorKind[] = ['forward', 'reverse']

/** A client of the npm package ws, which speaks to the chat through this door. */
function chatThrough(kind: DoorKind, path = '/room?a=1'): WebSocket {
  const address = doorOf(sallyport, kind)
  if (kind === 'reverse')
    return new WebSocket(`ws+${address}:/chat${path}`, { headers: { Authorization: `Bearer ${CALLER_KEY}` } })
  const [name = '', value = ''] = PROOF.trim().split(': ')
  return new WebSocket(`ws://${address}/`, {
    headers: { Host: 'chat.test', [name]: value },
    finishRequest(request) {
      request.path = `http://chat.test${path}`
      request.end()
    },
  })
}

async function opened(
  kind: DoorKind,
): Promise<{ readonly client: WebSocket; readonly server: WebSocket; readonly rawHeaders: string[] }> {
  const client = chatThrough(kind)
  const arrived = once(chat, 'connection')
  await once(client, 'open')
  const [server, request] = await arrived
  return { client, server, rawHeaders: request.rawHeaders }
}

/** A handshake in raw bytes. */
function handshake(path: string, { host = 'raw.test', method = 'GET', more = '' } = {}): string {
  const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'
  return `${method} http://${host}${path} HTTP/1.1\r\nHost: ${host}\r\n${PROOF}${upgrade}Sec-WebSocket-Key: ${KEY}\r\n${more}\r\n`
}

function shake(path: string, options?: Parameters<typeof handshake>[1]) {
  return sendRaw(doorOf(sallyport, 'forward'), handshake(path, options))
}

function connectionFor(path: string) {
  return eventually(() => raw.connections.findLast(({ bytes }) => bytes.includes(` ${path} `)), `a request for ${path}`)
}

async function entryFor(path: string): Promise<Record<string, unknown>> {
  return eventually(
    async () => (await sallyport.audit(0)).findLast((entry) => entry['path'] === path),
    `the entry of ${path}`,
  )
}

test.each(DOORS)('through the %s door the handshake carries the credential, and frames go both ways', async (kind) => {
  const { client, server, rawHeaders } = await opened(kind)
  const sent = rawHeaders.join('\n')
  expect(sent.match(/^authorization\n.*$/gim)).toEqual([
    expect.stringMatching(new RegExp(`^authorization\nBearer ${CREDENTIAL}$`, 'i')),
  ])
  expect(sent).not.toContain(CALLER_KEY)
  expect(sent).not.toMatch(/proxy-/i)
  const large = Buffer.alloc(1024 * 1024, 'a')
  for (const message of ['hello', large]) {
    const echoed = once(client, 'message')
    client.send(message)
    const [data] = await echoed
    expect(Buffer.compare(data, Buffer.from(message))).toBe(0)
  }
  const closed = once(server, 'close')
  client.close(4001, 'enough')
  const [code, reason] = await closed
  expect([code, String(reason)]).toEqual([4001, 'enough'])
  const entry = await entryFor('/room')
  expect(entry).toMatchObject({
    status: 101,
    ended: 'complete',
    caller: 'checkout',
    credential: { source: 'static' },
    upstreamAddress: '127.0.0.1',
  })
  expect(entry['bytesIn']).toBeGreaterThan(large.length)
  expect(entry['bytesOut']).toBeGreaterThan(large.length)
})

test.each(DOORS)(
  'a close code of the upstream comes through the %s door, after all that went before it',
  async (kind) => {
    const { client, server } = await opened(kind)
    let bytes = 0
    client.on('message', (data: Buffer) => (bytes += data.length))
    client.pause()
    for (let count = 0; count < 16; count++) server.send(Buffer.alloc(1024 * 1024))
    server.close(4002, 'done')
    client.resume()
    const [code, reason] = await once(client, 'close')
    expect([code, String(reason)]).toEqual([4002, 'done'])
    expect(bytes).toBe(16 * 1024 * 1024)
  },
)

test.each(DOORS)(
  'a caller of the %s door that vanishes is gone upstream within a second, and the other way round',
  async (kind) => {
    const first = await opened(kind)
    first.client.terminate()
    await eventually(() => first.server.readyState === WebSocket.CLOSED || undefined, 'the upstream to see it', 1_000)
    const second = await opened(kind)
    second.server.terminate()
    await eventually(() => second.client.readyState === WebSocket.CLOSED || undefined, 'the caller to see it', 1_000)
  },
)

test('frames may be further apart than the time that an answer may take', async () => {
  const { client, server } = await opened('reverse')
  const message = once(client, 'message')
  setTimeout(() => server.send('late'), RESPONSE_TIMEOUT_MS + 200)
  expect(String((await message)[0])).toBe('late')
  client.terminate()
})

test('a connection that does not say websocket: true does not switch', async () => {
  const { text, closed } = await shake('/switch', { host: 'plain.test' })
  expect(text).toMatch(/^HTTP\/1.1 403 [\s\S]*upgrade-refused/)
  expect(closed).toBe(true)
  expect(raw.bytes()).not.toContain('Host: plain.test')
})

test('a 401 in chunks is an answer that can be read, without the challenge', async () => {
  const { text, closed } = await shake('/401')
  expect(text).toMatch(/^HTTP\/1.1 401 Unauthorized\r\nConnection: close\r\n\r\nplead!$/)
  expect(closed).toBe(true)
  expect(await entryFor('/401')).toMatchObject({ status: 401, ended: 'complete', bytesOut: 6 })
})

test('a 200 to a handshake is an answer like any other, and no tunnel', async () => {
  const { text, closed } = await shake('/200')
  expect(text).toMatch(/^HTTP\/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nplain$/)
  expect(closed).toBe(true)
  const connection = await connectionFor('/200')
  await eventually(() => connection.closed || undefined, 'the end of the connection upstream')
})

test('an answer whose body breaks off is broken, not short', async () => {
  const line = hold(doorOf(sallyport, 'forward'), handshake('/dies'))
  expect(await eventually(() => line.ended(), 'the end of the connection')).toBe('reset')
  expect(await entryFor('/dies')).toMatchObject({ status: 403, ended: 'broken' })
})

test.each([
  ['/wrong-accept', 502, 'upstream-malformed'],
  ['/other-protocol', 502, 'upstream-malformed'],
  ['/odd-coding', 502, 'upstream-malformed'],
  ['/garbage', 502, 'upstream-malformed'],
  ['/hang', 504, 'upstream-timeout'],
  ['/hints', 504, 'upstream-timeout'],
])('an upstream that does %s is %i %s, and its connection is closed', async (path, status, code) => {
  const answer = await shake(path)
  expect(answer.status).toBe(status)
  expect(answer.closed).toBe(true)
  expect(JSON.parse(answer.text.split('\r\n\r\n')[1] ?? '')).toMatchObject({ code, status })
  expect(answer.text).not.toMatch(/EVIL|101 Switching/)
  expect(await entryFor(path)).toMatchObject({ code, status, ended: 'complete', bytesIn: 0, bytesOut: 0 })
  const connection = await connectionFor(path)
  await eventually(() => connection.closed || undefined, 'the upstream connection to close', 1_000)
})

test('a 101 keeps its cookies and its protocol, and what is hop by hop stays behind', async () => {
  const line = hold(doorOf(sallyport, 'forward'), handshake('/fields'))
  const text = await eventually(() => (line.text().endsWith('\r\n\r\n') ? line.text() : undefined), 'the 101')
  expect(
    text
      .split('\r\n')
      .slice(1, -2)
      .map((field) => field.toLowerCase())
      .toSorted(),
  ).toEqual([
    'connection: upgrade',
    `sec-websocket-accept: ${ACCEPT.toLowerCase()}`,
    'sec-websocket-protocol: chat',
    'set-cookie: a=1',
    'set-cookie: b=2',
    'upgrade: websocket',
  ])
})

test.each([
  ['closes', (line: ReturnType<typeof hold>) => line.socket.destroy()],
  ['half-closes', (line: ReturnType<typeof hold>) => line.socket.end()],
])('a caller that %s before the answer is gone upstream within a second', async (what, leave) => {
  const path = `/hang?${what}`
  const before = raw.connections.length
  const line = hold(doorOf(sallyport, 'forward'), handshake(path, { host: 'patient.test' }))
  const connection = await eventually(
    () => raw.connections.slice(before).find(({ bytes }) => bytes.includes(what)),
    'the handshake',
  )
  leave(line)
  await eventually(() => connection.closed || undefined, 'the upstream connection to close', 1_000)
})

test('an open WebSocket counts among the requests in flight', async () => {
  const line = hold(doorOf(sallyport, 'forward'), handshake('/switch', { host: 'narrow.test' }))
  await eventually(() => /^HTTP\/1.1 101 /.exec(line.text()) ?? undefined, 'the 101')
  expect((await shake('/switch', { host: 'narrow.test' })).status).toBe(429)
  line.socket.destroy()
  const isFree = () =>
    sendRaw(doorOf(sallyport, 'forward'), handshake('/switch', { host: 'narrow.test' }), { until: /\r\n\r\n/ })
  await eventually(async () => ((await isFree()).status === 101 ? true : undefined), 'room for another one', 1_000)
})

test.each([
  ['C09', 'TRACE', { method: 'TRACE' }, 405],
  ['C09', 'OPTIONS with Max-Forwards: 0', { method: 'OPTIONS', more: 'Max-Forwards: 0\r\n' }, 405],
  ['C14', 'POST', { method: 'POST' }, 400],
  ['C14', 'a body', { more: 'Content-Length: 4\r\n\r\nabcdEXTRA' }, 400],
  ['C14', 'a chunked body', { more: 'Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n' }, 400],
  ['C14', 'two keys', { more: `Sec-WebSocket-Key: ${KEY}\r\n` }, 400],
])('%s: a handshake with %s is refused, and sends nothing up', async (_id, _what, options, status) => {
  const before = raw.connections.length
  expect((await shake('/switch', options)).status).toBe(status)
  expect(raw.connections.length).toBe(before)
})

test.each([
  ['C11', 'h2c', 'HTTP2-Settings: AAMA\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n', 200],
  ['C15', 'foo/1', 'Connection: Upgrade\r\nUpgrade: foo/1\r\n', 200],
])('%s: a request to switch to %s goes up as a plain one', async (id, _what, fields, status) => {
  const request = `GET http://raw.test/${id} HTTP/1.1\r\nHost: raw.test\r\n${PROOF}${fields}\r\n`
  const answer = await sendRaw(doorOf(sallyport, 'forward'), request, { until: /ok$/ })
  expect(answer.status).toBe(status)
  const { bytes } = await connectionFor(`/${id}`)
  expect(bytes).not.toMatch(/^(?:upgrade|http2-settings):/im)
})

test('C15: an upstream that switches unasked is malformed, and its connection is closed', async () => {
  const request = `GET http://raw.test/switch HTTP/1.1\r\nHost: raw.test\r\n${PROOF}\r\n`
  const { text } = await sendRaw(doorOf(sallyport, 'forward'), request, { until: /"\}\n$/ })
  expect(text).toMatch(/^HTTP\/1.1 502 [\s\S]*upstream-malformed/)
  const connection = raw.connections.findLast(({ bytes }) => bytes.startsWith('GET /switch'))
  await eventually(() => connection?.closed || undefined, 'the upstream connection to close', 1_000)
})
