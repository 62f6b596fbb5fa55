import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { open, type RawAnswer } from '../support/raw-client.ts'
import { eventually } from '../support/sallyport.ts'
import type { Step } from '../support/upstream.ts'
import { besiege, type Siege, valuesIn } from './siege.ts'

/** Section B of the catalogue: what a hostile upstream may answer. Ids are the catalogue's. */
let siege: Siege

/** What the upstream answers, by path; `⏎` is CR LF. */
const answers = new Map<string, readonly Step[]>()

beforeAll(async () => {
  siege = await besiege({
    script: (path) => answers.get(path),
    settings: ({ connection }) => ({
      connections: {
        quick: connection('quick', ['a.x.test'], {
          limits: { responseTimeoutMs: 2_000, idleTimeoutMs: 2_000 },
          websocket: true,
        }),
      },
      grants: [{ caller: 'alpha', connection: 'quick' }],
    }),
  })
})

afterAll(() => siege.end())

let paths = 0

/** Asks for something that the upstream answers with these bytes. */
function ask(
  answer: string | readonly Step[],
  { request = 'GET {T} HTTP/1.1⏎{H}⏎', host = 'api.test', ...wait }: Asking = {},
) {
  const path = `/answer-${paths++}`
  answers.set(path, typeof answer === 'string' ? [{ send: raw(answer) }] : answer)
  const bytes = siege.bytes('forward', request.replace('{T}', `http://${host}${path}`))
  return siege.attack(siege.forward, bytes, { until: /\r\n\r\n[\s\S]*(?:ok|\}\n)$/, ...wait })
}

interface Asking {
  readonly request?: string
  readonly host?: string
  readonly until?: RegExp
  readonly deadlineMs?: number
}

function raw(template: string): Buffer {
  return Buffer.from(template.replaceAll('⏎', '\r\n'), 'latin1')
}

/** A refusal of ours, and nothing of what the upstream had said. */
function expectBadGateway({ text, status }: RawAnswer, statuses: readonly number[] = [502]): void {
  expect(statuses, text).toContain(status)
  expect(valuesIn(text, 'proxy-status')).toEqual([expect.stringMatching(/^sallyport; error=/)])
  expect(text).not.toMatch(/EVIL/)
}

test.each([
  ['B01 CL and TE', 'HTTP/1.1 200 OK⏎Content-Length: 4⏎Transfer-Encoding: chunked⏎⏎4⏎EVIL⏎0⏎⏎'],
  ['B01 TE and CL', 'HTTP/1.1 200 OK⏎Transfer-Encoding: chunked⏎Content-Length: 4⏎⏎4⏎EVIL⏎0⏎⏎'],
  ['B01 two CL that differ', 'HTTP/1.1 200 OK⏎Content-Length: 4⏎Content-Length: 3⏎⏎EVIL'],
  ['B01 two CL alike', 'HTTP/1.1 200 OK⏎Content-Length: 4⏎Content-Length: 4⏎⏎EVIL'],
  ['B01 a list of CL', 'HTTP/1.1 200 OK⏎Content-Length: 4, 4⏎⏎EVIL'],
  ['B01 CL +4', 'HTTP/1.1 200 OK⏎Content-Length: +4⏎⏎EVIL'],
  ['B02 TE xchunked', 'HTTP/1.1 200 OK⏎Transfer-Encoding: xchunked⏎⏎4⏎EVIL⏎0⏎⏎'],
  ['B02 TE gzip, chunked', 'HTTP/1.1 200 OK⏎Transfer-Encoding: gzip, chunked⏎⏎4⏎EVIL⏎0⏎⏎'],
  ['B02 TE ,chunked', 'HTTP/1.1 200 OK⏎Transfer-Encoding: ,chunked⏎⏎4⏎EVIL⏎0⏎⏎'],
  ['B02 TE twice', 'HTTP/1.1 200 OK⏎Transfer-Encoding: chunked⏎Transfer-Encoding: chunked⏎⏎4⏎EVIL⏎0⏎⏎'],
  ['B03 obs-fold', 'HTTP/1.1 200 OK⏎X: EVIL⏎ EVIL⏎Content-Length: 2⏎⏎ok'],
  ['B03 bare CR', 'HTTP/1.1 200 OK⏎X: EVIL\rY: EVIL⏎Content-Length: 2⏎⏎ok'],
  ['B03 bare LF', 'HTTP/1.1 200 OK\nX: EVIL\nContent-Length: 2\n\nok'],
  ['B03 NUL', 'HTTP/1.1 200 OK⏎X: EVIL\0⏎Content-Length: 2⏎⏎ok'],
  ['B03 no colon', 'HTTP/1.1 200 OK⏎EVIL⏎Content-Length: 2⏎⏎ok'],
  ['B03 space before the colon', 'HTTP/1.1 200 OK⏎Content-Length : 4⏎⏎EVIL'],
  ['B03 a name that is none', 'HTTP/1.1 200 OK⏎E(VIL: EVIL⏎Content-Length: 2⏎⏎ok'],
  ['B04 a head of 17 KiB', `HTTP/1.1 200 OK⏎X: ${'EVIL'.repeat(4352)}⏎Content-Length: 2⏎⏎ok`],
  ['B04 1 000 Set-Cookie', `HTTP/1.1 200 OK⏎${'Set-Cookie: EVIL=12345⏎'.repeat(1000)}Content-Length: 2⏎⏎ok`],
  ['B07 101 to a plain GET', 'HTTP/1.1 101 EVIL⏎Connection: upgrade⏎Upgrade: websocket⏎⏎EVIL'],
  ['B10 5 000 interim answers', `${'HTTP/1.1 103 EVIL⏎⏎'.repeat(5000)}HTTP/1.1 200 OK⏎Content-Length: 2⏎⏎ok`],
  ['B10 5 000 of 100', `${'HTTP/1.1 100 EVIL⏎⏎'.repeat(5000)}HTTP/1.1 200 OK⏎Content-Length: 2⏎⏎ok`],
  ['not HTTP at all', 'SSH-2.0-EVIL⏎'],
  ['HTTP/0.9', 'EVIL'],
  ['a status of two digits', 'HTTP/1.1 20 EVIL⏎Content-Length: 2⏎⏎ok'],
  ['a control character in a value', 'HTTP/1.1 200 OK⏎X: E\x01VIL⏎Content-Length: 2⏎⏎ok'],
])('%s: a bad gateway, and the connection is not used again', async (_id, answer) => {
  const before = siege.upstream.connections.length
  const sight = await ask(answer)
  expectBadGateway(sight)
  expect(sight.requests).toHaveLength(1)
  // The probe that follows each attack had to open another.
  const used = siege.upstream.connections
    .slice(0, before + 1)
    .find(({ bytes }) => bytes.includes(`/answer-${paths - 1} `))
  await eventually(() => used?.closed || undefined, 'the upstream connection to be closed')
})

test.each([600, 799, 999])('B06 status %i is relayed as it is', async (status) => {
  const sight = await ask(`HTTP/1.1 ${status} Odd⏎Content-Length: 2⏎⏎ok`)
  expect(sight.text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} Odd\\r\\n[\\s\\S]*ok$`))
})

test.each(['E\x01VIL', 'E\x7fVIL', '\xe2\x86\x92 EVIL', 'E\x00VIL'])('status text %j does not go on', async (text) => {
  const sight = await ask(`HTTP/1.1 200 ${text}⏎Content-Length: 2⏎⏎ok`)
  expect(sight.text).toMatch(/^HTTP\/1\.1 (?:200 OK|502 Bad Gateway)\r\n/)
  expect(sight.text).not.toContain('EVIL')
})

test('B06 an interim status for a final one is no answer', async () => {
  const sight = await ask('HTTP/1.1 199 EVIL⏎Content-Length: 2⏎⏎EVIL', { host: 'a.x.test' })
  expectBadGateway(sight, [502, 504])
})

test('B09 an Upgrade field in a plain answer switches nothing', async () => {
  const request =
    'GET {T} HTTP/1.1⏎{H}Connection: Upgrade⏎Upgrade: websocket⏎Sec-WebSocket-Version: 13⏎Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==⏎⏎'
  const answer = 'HTTP/1.1 200 OK⏎Connection: Upgrade⏎Upgrade: websocket⏎Content-Length: 2⏎⏎ok'
  const sight = await ask(answer, { request, host: 'a.x.test', until: /never/ })
  expect(sight.text).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nok$/)
  expect(sight.text).not.toMatch(/^upgrade:/im)
  expect(sight.closed).toBe(true)
})

test('B11 103 goes on to a caller of HTTP/1.1, with its links alone, and not to one of HTTP/1.0', async () => {
  const answer =
    'HTTP/1.1 103 Early Hints⏎Link: </a.css>; rel=preload⏎X-Other: 1⏎⏎HTTP/1.1 200 OK⏎Content-Length: 2⏎⏎ok'
  const modern = await ask(answer, { until: /ok$/ })
  expect(modern.text).toMatch(
    /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK\r\n/,
  )
  const old = await ask(answer, { request: 'GET {T} HTTP/1.0⏎{H}⏎' })
  expect(old.text).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
})

test.each([
  ['204', 'GET', 'HTTP/1.1 204 No Content⏎⏎EVIL'],
  ['204 with a length', 'GET', 'HTTP/1.1 204 No Content⏎Content-Length: 4⏎⏎EVIL'],
  ['304', 'GET', 'HTTP/1.1 304 Not Modified⏎⏎EVIL'],
  ['304 with a length', 'GET', 'HTTP/1.1 304 Not Modified⏎Content-Length: 4⏎⏎EVIL'],
  ['HEAD', 'HEAD', 'HTTP/1.1 200 OK⏎Content-Length: 4⏎⏎EVIL'],
])('B12 a body where none can be (%s) is dropped with its connection', async (_name, method, answer) => {
  const next = 'GET http://api.test/next HTTP/1.1⏎{H}Connection: close⏎⏎'
  const sight = await ask(answer, { request: `${method} {T} HTTP/1.1⏎{H}⏎${next}`, until: /never/ })
  expect(sight.text).not.toContain('EVIL')
  expect(sight.text).toMatch(/^HTTP\/1\.1 (?:200|204|304|502) [\s\S]*\r\n\r\nHTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nok$/)
})

test('B13 an answer that nobody asked for is delivered to nobody', async () => {
  const answer = 'HTTP/1.1 200 OK⏎Content-Length: 2⏎⏎okHTTP/1.1 200 EVIL⏎Content-Length: 4⏎⏎EVIL'
  for (let round = 0; round < 10; round++) {
    const sight = await ask(answer)
    expect(sight.text).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nok$/)
  }
})

test.each([
  ['of known length', 'HTTP/1.1 200 OK⏎Content-Length: 100⏎⏎part'],
  ['in chunks', 'HTTP/1.1 200 OK⏎Transfer-Encoding: chunked⏎⏎4⏎part⏎'],
  ['in the middle of a chunk', 'HTTP/1.1 200 OK⏎Transfer-Encoding: chunked⏎⏎40⏎part'],
])('B14 a body %s that is cut short never looks whole, and a POST is not sent again', async (_how, answer) => {
  for (const end of ['fin', 'reset'] as const) {
    const request = 'POST {T} HTTP/1.1⏎{H}Content-Length: 0⏎⏎'
    const sight = await ask([{ send: raw(answer) }, end], { request, until: /never/ })
    expect(sight.closed).toBe(true)
    expect(sight.text).not.toMatch(/\r\n0\r\n/)
    expect(Number(valuesIn(sight.text, 'content-length')[0] ?? 100)).toBe(
      sight.status === 502 ? expect.any(Number) : 100,
    )
    expect(sight.requests).toHaveLength(1)
  }
})

test('B14 a body that is cut short behind another answer ends that connection too', async () => {
  let release: (() => void) | undefined
  answers.set('/first', [
    { wait: new Promise<void>((resolve) => (release = resolve)) },
    { send: raw('HTTP/1.1 200 OK⏎Content-Length: 2⏎⏎ok') },
  ])
  answers.set('/second', [{ send: raw('HTTP/1.1 200 OK⏎Content-Length: 100000⏎⏎part') }, 'reset'])
  const two = siege.bytes('forward', 'GET http://api.test/first HTTP/1.1⏎{H}⏎GET http://api.test/second HTTP/1.1⏎{H}⏎')
  const sight = siege.attack(siege.forward, two)
  const second = () => siege.upstream.connections.find(({ bytes }) => bytes.includes('GET /second '))
  await eventually(() => second()?.closed || undefined, 'the second answer to be cut')
  release?.()
  expect((await sight).closed).toBe(true)
  expect((await sight).text).not.toMatch(/part[\s\S]*HTTP/)
})

test('B16 B19 hop-by-hop fields, those that Connection names, and our own sign are not relayed', async () => {
  const fields =
    'Connection: x-foo⏎X-Foo: EVIL⏎Keep-Alive: EVIL⏎Proxy-Authenticate: EVIL⏎Proxy-Connection: EVIL⏎Proxy-Status: sallyport; error=EVIL⏎Upgrade: EVIL⏎Trailer: EVIL⏎'
  const sight = await ask(`HTTP/1.1 200 OK⏎${fields}X-Kept: 1⏎Content-Length: 2⏎⏎ok`)
  expect(sight.text).not.toContain('EVIL')
  expect(valuesIn(sight.text, 'x-kept')).toEqual(['1'])
})

test('B16 trailers are not relayed', async () => {
  const sight = await ask('HTTP/1.1 200 OK⏎Transfer-Encoding: chunked⏎⏎2⏎ok⏎0⏎Set-Cookie: EVIL⏎⏎', {
    until: /\r\n0\r\n[\s\S]*\r\n$/,
  })
  expect(sight.text).toMatch(/2\r\nok\r\n0\r\n\r\n$/)
})

test('B17 an answer without end fills no memory while its caller does not read', async () => {
  const piece = Buffer.alloc(1 << 20, 'x')
  answers.set('/endless', [
    { send: raw('HTTP/1.1 200 OK⏎Transfer-Encoding: chunked⏎⏎') },
    ...Array.from({ length: 96 }, () => ({ send: Buffer.concat([raw('100000⏎'), piece, raw('⏎')]) })),
  ])
  const before = residentMiB()
  const socket = open(siege.forward)
  socket.on('error', () => undefined)
  socket.write(siege.bytes('forward', 'GET http://api.test/endless HTTP/1.1⏎{H}⏎'))
  await new Promise((resolve) => socket.once('readable', resolve))
  // The upstream has had the time to fill whatever would take it.
  for (let round = 0; round < 20; round++) await siege.watch(() => Promise.resolve())
  expect(residentMiB() - before).toBeLessThan(32)
  socket.destroy()
  const endless = siege.upstream.connections.find(({ bytes }) => bytes.includes('/endless'))
  await eventually(() => endless?.closed || undefined, 'the upstream connection to be given up')
})

test('B18 nothing is decoded', async () => {
  const body = gzipSync('EVIL')
  const head = `HTTP/1.1 200 OK⏎Content-Encoding: ${Array.from({ length: 1000 }, () => 'gzip').join(',')}⏎Content-Length: ${body.length}⏎⏎`
  const sight = await ask([{ send: Buffer.concat([raw(head), body]) }], { until: /\r\n\r\n[\s\S]{20,}$/ })
  expect(sight.text.endsWith(body.toString('latin1'))).toBe(true)
})

function residentMiB(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${siege.sallyport.pid}/status`, 'utf8'))?.[1]) / 1024
}
