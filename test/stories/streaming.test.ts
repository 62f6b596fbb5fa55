import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { sendRaw } from '../support/raw-client.ts'
import { eventually, type Running } from '../support/sallyport.ts'
import { OK, type RawUpstream, type Step, startUpstream } from '../support/upstream.ts'
import {
  authority,
  doorOf,
  forwardRequest,
  hold,
  type Line,
  reverseRequest,
  startCrm,
  startCrmForTest,
  stopCrm,
} from './crm.ts'

let upstream: RawUpstream
let sallyport: Running

/** What the upstream does when a path is asked for; `turn` counts from 0 how often it was. */
type Script = (turn: number) => readonly Step[]
const scripts = new Map<string, Script>()
const turns = new Map<string, number>()

function play(head: string): readonly Step[] {
  const path = head.split(' ')[1] ?? ''
  const turn = turns.get(path) ?? 0
  turns.set(path, turn + 1)
  return scripts.get(path)?.(turn) ?? OK
}

beforeAll(async () => {
  upstream = await startUpstream(play, await authority.issue(['api.crm.test']))
  sallyport = await startCrm({
    port: upstream.port,
    settings: { grants: [{ caller: 'checkout', connection: 'crm', rules: [{ paths: ['/open/*'] }] }] },
  })
})

afterAll(async () => {
  await stopCrm(sallyport)
  await upstream?.close()
})

type DoorKind = 'forward' | 'reverse'
const DOORS: readonly DoorKind[] = ['forward', 'reverse']

function door(kind: DoorKind): string {
  return doorOf(sallyport, kind)
}

function ask(kind: DoorKind, method: string, path: string, more = '\r\n'): string {
  return kind === 'forward' ? forwardRequest(method, path, more) : reverseRequest(method, path, more)
}

/** Asks and keeps the connection; `more`: fields and body. */
function asking(kind: DoorKind, method: string, path: string, more?: string): Line {
  return hold(door(kind), ask(kind, method, path, more))
}

/** A path of its own for a test, at which the upstream does as told. */
function pathFor(script: Script): string {
  const path = `/open/${scripts.size}`
  scripts.set(path, script)
  return path
}

/** Waits until a text has this in it. */
function until(text: () => string, pattern: RegExp): Promise<string> {
  return eventually(() => pattern.exec(text())?.[0], String(pattern))
}

/** Waits until the caller has got this. */
function seen(line: Line, pattern: RegExp): Promise<string> {
  return until(line.text, pattern)
}

/** Heads of the requests for a path, as the upstream saw them. */
function headsFor(path: string): string[] {
  return upstream.heads().filter((head) => head.split(' ')[1] === path)
}

/** The upstream's connection on which a path was asked for last. */
function connectionOf(path: string) {
  return eventually(
    () => upstream.connections.findLast(({ bytes }) => bytes.includes(` ${path} HTTP/1.1`)),
    `a request for ${path}`,
  )
}

/** The last of as many as there have to be. */
async function entryFor(path: string, count = 1): Promise<Record<string, unknown>> {
  const look = async () => (await sallyport.audit(0)).filter((entry) => entry['path'] === path)
  return eventually(async () => (await look())[count - 1], `${count} entries of ${path}`)
}

/** A promise that a test keeps when it is time. */
function gate(): { readonly wait: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { wait: promise, open: resolve }
}

const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n'

/** Waits until the upstream has read this. */
function uploaded(pattern: RegExp): Step {
  return { wait: until(upstream.bytes, pattern) }
}

function chunk(text: string): Step {
  return { send: `${text.length.toString(16)}\r\n${text}\r\n` }
}

test.each(DOORS)('events come through the %s door one by one, while the stream is open', async (kind) => {
  const [second, third] = [gate(), gate()]
  const head: Step = { send: `${CHUNKED}Content-Type: text/event-stream\r\n\r\n` }
  const path = pathFor(() => [
    head,
    { wait: second.wait },
    chunk('data: 1\n\n'),
    { wait: third.wait },
    chunk('data: 2\n\n'),
    'hang',
  ])
  const line = asking(kind, 'GET', path)
  await seen(line, /text\/event-stream[\s\S]*\r\n\r\n/)
  expect(line.text()).not.toContain('data:')
  second.open()
  await seen(line, /data: 1\n\n/)
  expect(line.text()).not.toContain('data: 2')
  third.open()
  await seen(line, /data: 2\n\n/)
  expect(line.ended()).toBeUndefined()
})

test.each([
  ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n', /^Content-Length: 100\r$/m],
  ['HEAD', `${CHUNKED}\r\n`, /^HTTP\/1.1 200 OK\r$/m],
  ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', /^HTTP\/1.1 204 No Content\r$/m],
  ['GET', 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 100\r\n\r\n', /^ETag: "a"\r$/m],
])('%s answered by %j has no body, and the connection goes on', async (method, answer, expected) => {
  const path = pathFor((turn) => (turn === 0 ? [{ send: answer }] : OK))
  const line = asking('forward', method, path)
  const first = await seen(line, /\r\n\r\n/).then(() => line.text())
  expect(first).toMatch(expected)
  line.socket.write(ask('forward', 'GET', path))
  await seen(line, /ok$/)
  const [, next = ''] = line.text().split(/\r\n\r\n/)
  expect(next).toMatch(/^HTTP\/1.1 200 OK\r\n/)
  expect(headsFor(path)).toHaveLength(2)
})

test('ten requests of one caller go up on one connection', async () => {
  const path = pathFor(() => OK)
  const line = asking('forward', 'GET', path)
  for (let count = 1; count < 10; count++) {
    await seen(line, new RegExp(`^(?:[\\s\\S]*?\\r\\n\\r\\nok){${count}}$`))
    line.socket.write(ask('forward', 'GET', path))
  }
  await seen(line, /^(?:[\s\S]*?\r\n\r\nok){10}$/)
  const used = upstream.connections.filter(({ bytes }) => bytes.includes(` ${path} `))
  expect(used).toHaveLength(1)
  expect(used[0]?.bytes.split(` ${path} `)).toHaveLength(11)
})

test('a caller that waits with Expect is told to go on after the permit, and the upstream never sees it', async () => {
  const path = pathFor(() => [uploaded(/hello/), ...OK])
  const line = asking('forward', 'POST', path, 'Expect: 100-continue\r\nContent-Length: 5\r\n\r\n')
  await seen(line, /^HTTP\/1.1 100 Continue\r\n\r\n$/)
  line.socket.write('hello')
  await seen(line, /\r\n\r\nHTTP\/1.1 200 OK\r\n[\s\S]*ok$/)
  const { bytes } = await connectionOf(path)
  expect(bytes).toMatch(/content-length: 5\r\n\r\nhello/i)
  expect(bytes).not.toMatch(/expect|100-continue/i)
})

test('a refused caller that waits with Expect is not told to go on', async () => {
  const line = asking('forward', 'POST', '/shut/1', 'Expect: 100-continue\r\nContent-Length: 5\r\n\r\n')
  await seen(line, /\n\}?$|"\}\n$/)
  expect(line.text()).toMatch(/^HTTP\/1.1 403 /)
  expect(line.text()).not.toContain('100 Continue')
  // What it sends nevertheless must not be read as its next request.
  line.socket.write('GET /')
  await eventually(() => line.ended(), 'the end of the connection')
})

test('trailers go neither way', async () => {
  const answer: Step = { send: `${CHUNKED}Trailer: X-Late\r\n\r\n` }
  const path = pathFor(() => [uploaded(/hi\r\n0\r\n/), answer, chunk('fine'), { send: '0\r\nX-Late: answer\r\n\r\n' }])
  const line = asking('forward', 'POST', path, 'Transfer-Encoding: chunked\r\nTrailer: X-Late\r\n\r\n2\r\nhi\r\n')
  await until(upstream.bytes, /2\r\nhi/)
  line.socket.write('0\r\nX-Late: ask\r\nAuthorization: evil\r\n\r\n')
  await seen(line, /4\r\nfine\r\n0\r\n\r\n$/)
  expect(line.text()).not.toMatch(/late/i)
  const { bytes } = await connectionOf(path)
  expect(bytes).toMatch(/2\r\nhi\r\n0\r\n\r\n$/)
  expect(bytes).not.toMatch(/late|evil/i)
})

const HINT = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX-Other: 1\r\n\r\n'

test('early hints reach a caller of HTTP/1.1, links alone, before the answer is there', async () => {
  const answer = gate()
  const path = pathFor(() => [{ send: HINT }, { wait: answer.wait }, ...OK])
  const line = asking('forward', 'GET', path)
  await seen(line, /\r\n\r\n/)
  expect(line.text()).toBe('HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n')
  answer.open()
  await seen(line, /\r\n\r\nHTTP\/1.1 200 OK\r\n[\s\S]*ok$/)
})

test('early hints do not reach a caller of HTTP/1.0, and odd ones reach nobody', async () => {
  const path = pathFor((turn) => [
    { send: turn === 0 ? HINT : HINT.replace('</a.css>; rel=preload', 'not a link') },
    ...OK,
  ])
  const old = ask('forward', 'GET', path).replace('HTTP/1.1', 'HTTP/1.0')
  expect((await sendRaw(door('forward'), old)).text).toMatch(/^HTTP\/1.1 200 OK\r\n/)
  expect((await sendRaw(door('forward'), ask('forward', 'GET', path), { until: /ok$/ })).text).toMatch(
    /^HTTP\/1.1 200 OK\r\n/,
  )
})

test('an upstream that hints for ever is malformed', async () => {
  const path = pathFor(() => Array.from({ length: 100 }, () => ({ send: HINT })))
  const { text } = await sendRaw(door('reverse'), ask('reverse', 'GET', path), { until: /"\}\n$/ })
  expect(text).toMatch(/HTTP\/1.1 502 [\s\S]*upstream-malformed/)
})

const UPLOAD = 'Content-Length: 1000\r\n\r\nhalf of it'
const STREAM: readonly Step[] = [{ send: `${CHUNKED}\r\n` }, chunk('data: 1\n\n'), 'hang']

test.each(
  DOORS.flatMap((kind) => [
    [kind, 'a request that hangs', 'GET', ['hang'] as readonly Step[], '\r\n'] as const,
    [kind, 'an event stream', 'GET', STREAM, '\r\n'] as const,
    [kind, 'an upload half sent', 'POST', ['hang'] as readonly Step[], UPLOAD] as const,
  ]),
)(
  'a caller of the %s door that leaves %s is gone upstream within a second',
  async (kind, _what, method, steps, more) => {
    const path = pathFor(() => steps)
    const line = asking(kind, method, path, more)
    const connection = await connectionOf(path)
    if (steps === STREAM) await seen(line, /data: 1/)
    line.socket.destroy()
    await eventually(() => connection.closed || undefined, 'the upstream connection to close', 1_000)
    expect(await entryFor(path)).toMatchObject({ ended: 'gone' })
  },
)

const PART = 'half of it'
const DYING: readonly (readonly [string, readonly Step[]])[] = [
  ['of known length', [{ send: `HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n${PART}` }]],
  ['in chunks', [{ send: `${CHUNKED}\r\n` }, chunk(PART)]],
]
const DEATHS = ['fin', 'reset'] as const

test.each(
  DOORS.flatMap((kind) => DYING.flatMap(([what, steps]) => DEATHS.map((death) => [kind, what, death, steps] as const))),
)('at the %s door a body %s that ends early by %s is broken, not short', async (kind, _what, death, steps) => {
  const now = gate()
  const path = pathFor(() => [...steps, { wait: now.wait }, death])
  const line = asking(kind, 'GET', path)
  await seen(line, /half of it/)
  now.open()
  await eventually(() => line.ended(), 'the end of the connection')
  expect(line.text()).not.toMatch(/0\r\n\r\n$/)
  expect(await entryFor(path)).toMatchObject({ ended: 'broken', status: 200, bytesOut: PART.length })
})

test.each(DEATHS)(
  'a caller of HTTP/1.0, to whom the end of a body is the end of the connection, sees a reset: %s',
  async (death) => {
    const now = gate()
    const path = pathFor(() => [{ send: `${CHUNKED}\r\n` }, chunk(PART), { wait: now.wait }, death])
    const line = hold(door('forward'), ask('forward', 'GET', path).replace('HTTP/1.1', 'HTTP/1.0'))
    await seen(line, /half of it/)
    now.open()
    expect(await eventually(() => line.ended(), 'the end of the connection')).toBe('reset')
  },
)

test('a body that only the end of its connection delimits is whole at a clean end', async () => {
  const path = pathFor(() => [{ send: 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwhole' }, 'fin'])
  const line = asking('forward', 'GET', path)
  await seen(line, /5\r\nwhole\r\n0\r\n\r\n$/)
  expect(await entryFor(path)).toMatchObject({ ended: 'complete', bytesOut: 5 })
})

/** Warms a connection, and then is silent on it as many times as said. */
function closingIdle(times: number): Script {
  return (turn) => (turn === 0 || turn > times ? OK : ['fin'])
}

async function askTwice(method: string, path: string, more?: string): Promise<string> {
  await sendRaw(door('forward'), ask('forward', 'GET', path), { until: /ok$/ })
  const { text } = await sendRaw(door('forward'), ask('forward', method, path, more), { until: /ok$|"\}\n$/ })
  return text
}

test('a GET on an idle connection that turns out to be closed is sent once more, unseen', async () => {
  const path = pathFor(closingIdle(1))
  expect(await askTwice('GET', path)).toMatch(/^HTTP\/1.1 200 /)
  expect(headsFor(path)).toHaveLength(3)
  expect(await entryFor(path, 2)).toMatchObject({ resends: 1, status: 200 })
})

test('a GET is not sent a third time', async () => {
  const path = pathFor(closingIdle(5))
  expect(await askTwice('GET', path)).toMatch(/^HTTP\/1.1 502 [\s\S]*upstream-unreachable/)
  expect(headsFor(path)).toHaveLength(3)
})

test.each([
  ['POST', 'Content-Length: 2\r\n\r\nhi'],
  ['POST', 'Content-Length: 0\r\n\r\n'],
  ['DELETE', '\r\n'],
])('a %s is never sent again: whether the upstream acted on it is not known', async (method, more) => {
  const path = pathFor(closingIdle(1))
  expect(await askTwice(method, path, more)).toMatch(/^HTTP\/1.1 502 [\s\S]*upstream-unreachable/)
  expect(headsFor(path)).toHaveLength(2)
})

test.each(DOORS)(
  'at the %s door an answer that comes before the end of the upload is whole, and spoils nothing',
  async (kind) => {
    const path = pathFor(() => OK)
    const line = asking(kind, 'POST', path, 'Content-Length: 4194304\r\n\r\n')
    line.socket.write(Buffer.alloc(65_536, 'a'))
    await seen(line, /\r\n\r\nok$/)
    expect(line.text()).toMatch(/^HTTP\/1.1 200 OK\r\n/)
    const connection = await connectionOf(path)
    await eventually(() => connection.closed || undefined, 'the upstream connection to close')
    const after = await sendRaw(door(kind), ask(kind, 'GET', path), { until: /ok$/ })
    expect(after.status).toBe(200)
    expect((await connectionOf(path)).id).not.toBe(connection.id)
    expect(await entryFor(path)).toMatchObject({ ended: 'complete', status: 200 })
  },
)

test('a GET on a new connection that closes is not sent again: it was no idle one', async () => {
  const path = pathFor(() => ['fin'])
  const fresh = await startCrmForTest({ port: upstream.port })
  const { status } = await sendRaw(doorOf(fresh, 'forward'), ask('forward', 'GET', path), { until: /"\}\n$/ })
  expect(status).toBe(502)
  expect(headsFor(path)).toHaveLength(1)
})

test('a body that only the end of its connection delimits is broken when that end is a reset', async () => {
  const now = gate()
  // A TLS server here has no way to send one.
  const plain = await startUpstream(() => [{ send: `HTTP/1.1 200 OK\r\n\r\n${PART}` }, { wait: now.wait }, 'reset'])
  onTestFinished(() => plain.close())
  const fresh = await startCrmForTest({ port: plain.port, connection: { unsafeAllowPlaintextUpstream: true, tls: {} } })
  const line = hold(doorOf(fresh, 'forward'), ask('forward', 'GET', '/open/reset'))
  await seen(line, /half of it/)
  now.open()
  expect(await eventually(() => line.ended(), 'the end of the connection')).toBe('reset')
  expect(await fresh.audit(1)).toMatchObject([{ ended: 'broken', code: 'upstream-unreachable' }])
})

test.each(DOORS)('at the %s door a caller that sends the rest after its answer keeps its connection', async (kind) => {
  const path = pathFor(() => OK)
  const half = Buffer.alloc(50_000, 'a')
  const line = asking(kind, 'POST', path, `Content-Length: ${2 * half.length}\r\n\r\n`)
  line.socket.write(half)
  await seen(line, /\r\n\r\nok$/)
  line.socket.write(half)
  line.socket.write(ask(kind, 'GET', path))
  await seen(line, /\r\n\r\nok[\s\S]+\r\n\r\nok$/)
  expect(line.text().match(/HTTP\/1.1 200 /g)).toHaveLength(2)
  expect(line.ended()).toBeUndefined()
})

test('a caller that sends more than is worth reading after its answer has time to read it, and then its connection ends', async () => {
  const path = pathFor(() => OK)
  const line = asking('forward', 'POST', path, 'Content-Length: 104857600\r\n\r\n')
  const more = Buffer.alloc(1024 * 1024, 'a')
  const push = () => {
    while (line.socket.write(more)) {}
  }
  line.socket.on('drain', push)
  push()
  await seen(line, /\r\n\r\nok$/)
  await eventually(() => line.ended(), 'the end of the connection', 5_000)
  expect(line.text()).toMatch(/^HTTP\/1.1 200 OK\r\n/)
})
