import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { authority, doorOf, PROOF, startCrm, stopCrm } from '../stories/crm.ts'
import { ask, FLAGS, FRAMES, frame, framesIn, hpack, openH2, openSession, PREFACE } from '../support/http2.ts'
import { eventually, type Running } from '../support/sallyport.ts'
import { OK, type RawUpstream, startUpstream } from '../support/upstream.ts'

const { none, endStream, endHeaders } = FLAGS
const BIG = { send: `HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(1_000_000)}` }

let upstream: RawUpstream
let running: Running
let target: string

beforeAll(async () => {
  upstream = await startUpstream(
    (head) => (head.startsWith('GET /big ') ? [BIG] : OK),
    await authority.issue(['api.crm.test']),
  )
  target = `api.crm.test:${upstream.port}`
  const connection = { limits: { idleTimeoutMs: 1_000 } }
  running = await startCrm({ port: upstream.port, connection, settings: { ca: { directory: 'ca' } } })
})

afterAll(async () => {
  await stopCrm(running)
  await upstream?.close()
})

function way() {
  const ca = readFileSync(join(running.directory, 'ca', 'ca.pem'), 'utf8')
  return { door: doorOf(running, 'forward'), target, proof: PROOF, ca }
}

type Pair = readonly [string, string]

/** Pseudo-fields of a request for `path`. */
function pseudo(path: string, method = 'GET'): Pair[] {
  return [
    [':method', method],
    [':scheme', 'https'],
    [':authority', target],
    [':path', path],
  ]
}

function head(stream: number, fields: readonly Pair[], flags: number = endStream | endHeaders): Buffer {
  return frame('headers', flags, stream, hpack(fields))
}

/** Sends bytes, and again for as long as they are taken; resolves when the other side has closed. */
async function flood(bytes: (turn: number) => Buffer, turns: number): Promise<void> {
  const socket = await openH2(way())
  const closed = new Promise<void>((resolve) => socket.once('close', resolve))
  socket.resume().write(PREFACE)
  for (let turn = 0; turn < turns && !socket.destroyed; turn++) {
    if (!socket.write(bytes(turn))) await Promise.race([once(socket, 'drain').catch(() => undefined), closed])
  }
  await eventually(() => (socket.destroyed ? true : undefined), 'the end of the flood')
}

async function expectAlive(): Promise<void> {
  const session = await openSession(way())
  expect(await ask(session, { ':path': '/alive', ':authority': target })).toMatchObject({ status: 200 })
}

const EMPTY_SETTINGS = frame('settings', none, 0)
const PING = frame('ping', none, 0, Buffer.alloc(8))
const EMPTY_DATA = frame('data', none, 1)
const MORE_HEAD = frame('continuation', none, 1, hpack([['x-more', 'y'.repeat(1000)]]))
const WINDOW_OF_NOTHING = Buffer.concat([Buffer.from([0, 0, 4, 8, 0, 0, 0, 0, 1]), Buffer.from([0, 0, 0, 0])])

function many(bytes: Buffer, count: number): Buffer {
  return Buffer.concat(Array<Buffer>(count).fill(bytes))
}

/** The first turn opens a stream that stays open. */
function afterOpening(bytes: Buffer): (turn: number) => Buffer {
  const opening = head(1, pseudo('/flooded', 'POST'), endHeaders)
  return (turn) => (turn === 0 ? opening : bytes)
}

const FLOODS: readonly (readonly [string, () => (turn: number) => Buffer])[] = [
  ['PING (CVE-2019-9512)', () => () => many(PING, 2_000)],
  ['SETTINGS (CVE-2019-9515)', () => () => many(EMPTY_SETTINGS, 2_000)],
  ['empty DATA (CVE-2019-9518)', () => afterOpening(many(EMPTY_DATA, 500))],
  ['CONTINUATION (CVE-2024-27316)', () => (turn) => (turn === 0 ? head(1, pseudo('/'), none) : MORE_HEAD)],
  ['WINDOW_UPDATE by nothing', () => afterOpening(many(WINDOW_OF_NOTHING, 500))],
]

test.each(FLOODS)('a flood of %s ends its own connection, and nothing else', async (_what, bytes) => {
  await flood(bytes(), 200)
  await expectAlive()
})

test('streams that are opened to be reset end their connection (CVE-2023-44487)', async () => {
  const before = upstream.heads().length
  const pair = (stream: number) => [head(stream, pseudo('/rapid')), frame('rstStream', none, stream, CANCEL)]
  const batch = (turn: number) => Array.from({ length: 50 }, (_, at) => pair((turn * 50 + at) * 2 + 1)).flat()
  await flood((turn) => Buffer.concat(batch(turn)), 100)
  expect(upstream.heads().length - before).toBeLessThan(100)
  await expectAlive()
})

const CANCEL = Buffer.from([0, 0, 0, 8])

/** Sends one head, and waits until its stream is answered or reset, or the connection ends. */
async function sendHead(fields: readonly Pair[]): Promise<{ readonly type: number } | 'closed'> {
  const socket: TLSSocket = await openH2(way())
  let bytes = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => (bytes = Buffer.concat([bytes, chunk])))
  socket.write(Buffer.concat([PREFACE, head(1, fields)]))
  const found = () => framesIn(bytes).find(({ stream }) => stream === 1)
  return eventually(() => found() ?? (socket.destroyed ? 'closed' : undefined), 'what becomes of the head')
}

const MALFORMED: readonly (readonly [string, () => readonly Pair[]])[] = [
  ['no :path', () => pseudo('/malformed').slice(0, 3)],
  ['two :method', () => [...pseudo('/malformed'), [':method', 'POST']]],
  ['a pseudo-field behind the others', () => [['x', 'y'], ...pseudo('/malformed')]],
  [':protocol, which was not offered', () => [...pseudo('/malformed', 'CONNECT'), [':protocol', 'websocket']]],
  ['a name in upper case', () => [...pseudo('/malformed'), ['X-Upper', 'y']]],
  ['Connection', () => [...pseudo('/malformed'), ['connection', 'x-own']]],
  ['Upgrade', () => [...pseudo('/malformed'), ['upgrade', 'websocket']]],
  ['Transfer-Encoding', () => [...pseudo('/malformed'), ['transfer-encoding', 'chunked']]],
  ['TE of a coding', () => [...pseudo('/malformed'), ['te', 'gzip']]],
  ['a line break in the path', () => pseudo('/malformed HTTP/1.1\r\nHost: other.test\r\n\r\n')],
  ['a length, and no body', () => [...pseudo('/malformed', 'POST'), ['content-length', '5']]],
]

test.each(MALFORMED)('a head with %s is reset, and never reaches the upstream', async (_what, fields) => {
  expect(await sendHead(fields())).toMatchObject({ type: FRAMES.rstStream })
  expect(upstream.bytes()).not.toContain('/malformed')
})

test('a value with a line break does not go on: nghttp2 leaves out such a field', async () => {
  const smuggled: readonly Pair[] = [...pseudo('/broken-line'), ['x-broken', 'a\r\nx-smuggled: c'], ['x-kept', 'd']]
  expect(await sendHead(smuggled)).toMatchObject({ type: FRAMES.headers })
  const [sent] = upstream.heads().filter((one) => one.includes('/broken-line'))
  expect(sent).toContain('x-kept: d')
  expect(sent).not.toMatch(/x-broken|smuggled/)
})

const TOO_LARGE: readonly (readonly [string, () => readonly Pair[]])[] = [
  ['more than 16 KiB', () => [...pseudo('/malformed'), ['x', 'y'.repeat(17_000)]]],
  ['more than 200 fields', () => [...pseudo('/malformed'), ...Array.from({ length: 250 }, (): Pair => ['x', 'y'])]],
]

test.each(TOO_LARGE)('a head of %s never reaches the upstream', async (_what, fields) => {
  const found = await sendHead(fields())
  expect(found === 'closed' || found.type === FRAMES.rstStream || found.type === FRAMES.headers).toBe(true)
  expect(upstream.bytes()).not.toContain('/malformed')
  await expectAlive()
})

test('an answer that its caller never reads is given up, upstream too', async () => {
  const session = await openSession(way(), { initialWindowSize: 0 })
  const answer = await ask(session, { ':path': '/big', ':authority': target })
  expect(answer).toMatchObject({ status: 200, body: '' })
  expect(answer.rstCode).not.toBe(0)
  const connection = upstream.connections.findLast(({ bytes }) => bytes.includes('/big '))
  await eventually(() => (connection?.closed ? true : undefined), 'the end of the connection upstream')
})
