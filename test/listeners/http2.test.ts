import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { ClientHttp2Session } from 'node:http2'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { authority, CALLER_KEY, CREDENTIAL, doorOf, PROOF, startCrm, startCrmForTest, stopCrm } from '../stories/crm.ts'
import { ask, openSession } from '../support/http2.ts'
import { eventually, type Running } from '../support/sallyport.ts'
import { OK, type RawUpstream, type Step, startUpstream } from '../support/upstream.ts'

const NO_ERROR = 0
const INTERNAL_ERROR = 2
const CANCEL = 8
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
const HALF: Step = { send: `${CHUNKED}4\r\nhalf\r\n` }

const SCRIPTS: Record<string, readonly Step[]> = {
  '/broken': [HALF, 'reset'],
  '/hangs': [HALF],
  '/trailers': [{ send: `${CHUNKED}2\r\nok\r\n0\r\nX-Sum: 7\r\nContent-Type: text/html\r\nSet-Cookie: a=b\r\n\r\n` }],
  '/empty': [{ send: 'HTTP/1.1 204 No Content\r\n\r\n' }],
  '/head': [{ send: 'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n' }],
  '/odd': [{ send: 'HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n' }],
  '/twice': [
    { send: `HTTP/1.1 200 OK\r\nETag: a\r\nETag: b\r\nTransfer-Encoding: chunked\r\n\r\n` },
    { send: '2\r\nok\r\n0\r\nServer: a\r\nServer: b\r\n\r\n' },
  ],
  '/hinted': [{ send: 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n' }, ...OK],
}

let upstream: RawUpstream
let running: Running
let target: string

beforeAll(async () => {
  upstream = await startUpstream(
    (head) => SCRIPTS[head.split(' ')[1] ?? ''] ?? OK,
    await authority.issue(['api.crm.test']),
  )
  target = `api.crm.test:${upstream.port}`
  const connection = { limits: { maxRequestBytes: 1_000_000 } }
  running = await startCrm({ port: upstream.port, connection, settings: { ca: { directory: 'ca' } } })
})

afterAll(async () => {
  await stopCrm(running)
  await upstream?.close()
})

function session(of = running, to = target): Promise<ClientHttp2Session> {
  const ca = readFileSync(join(of.directory, 'ca', 'ca.pem'), 'utf8')
  return openSession({ door: doorOf(of, 'forward'), target: to, proof: PROOF, ca })
}

function headOf(path: string, more: Record<string, string | string[]> = {}) {
  return { ':path': path, ':authority': target, ...more }
}

/** The upstream's connection on which this was said. */
function connectionWith(text: string) {
  return eventually(() => upstream.connections.findLast(({ bytes }) => bytes.includes(text)), text)
}

test('a request reaches an HTTP/1 upstream with the credential, its cookie whole, and no trace of the caller key', async () => {
  const answer = await ask(await session(), headOf('/v1', { cookie: ['a=1', 'b=2'], authorization: 'Bearer mine' }))
  expect(answer).toMatchObject({ status: 200, body: 'ok', isWhole: true, rstCode: NO_ERROR })
  const head = upstream.heads().at(-1)
  expect(head).toContain(`GET /v1 HTTP/1.1\r\nhost: ${target}\r\n`)
  expect(head?.match(/^authorization:.*$/gim)).toEqual([`Authorization: Bearer ${CREDENTIAL}`])
  expect(head).toContain('cookie: a=1; b=2\r\n')
  expect(upstream.bytes()).not.toContain(CALLER_KEY)
})

test('an answer without a body ends at its head, also to HEAD', async () => {
  const open = await session()
  expect(await ask(open, headOf('/empty'))).toMatchObject({ status: 204, body: '', rstCode: NO_ERROR })
  const answer = await ask(open, headOf('/head', { ':method': 'HEAD' }))
  expect(answer).toMatchObject({ status: 200, headers: { 'content-length': '99' }, rstCode: NO_ERROR })
})

test('trailers follow the body, without what only a head may say', async () => {
  const { status, body, trailers } = await ask(await session(), headOf('/trailers'))
  expect({ status, body, names: Object.keys(trailers) }).toEqual({ status: 200, body: 'ok', names: ['x-sum'] })
})

test('fields that an upstream says twice, against the rules, are passed on as they are', async () => {
  const answer = await ask(await session(), headOf('/twice'))
  expect(answer).toMatchObject({ status: 200, body: 'ok', isWhole: true })
})

test('hints come before the answer', async () => {
  const stream = (await session()).request(headOf('/hinted'))
  const answered = once(stream, 'response')
  const [hint] = await once(stream, 'headers')
  expect(hint).toMatchObject({ ':status': 103, link: '</a.css>' })
  expect((await answered)[0]).toMatchObject({ ':status': 200 })
})

test('an answer that breaks off is a reset, never a clean end', async () => {
  const answer = await ask(await session(), headOf('/broken'))
  expect(answer).toMatchObject({ status: 200, isWhole: false, rstCode: INTERNAL_ERROR })
})

test('a status that HTTP/2 has no room for is the fault of the upstream, and costs nobody else', async () => {
  const open = await session()
  const answer = await ask(open, headOf('/odd'))
  expect(answer).toMatchObject({ status: 502, body: expect.stringContaining('upstream-malformed') })
  expect(await ask(open, headOf('/after'))).toMatchObject({ status: 200 })
})

test('a caller that resets its stream takes the request from the upstream', async () => {
  const stream = (await session()).request(headOf('/hangs'))
  stream.on('error', () => undefined)
  await once(stream, 'data')
  stream.close(CANCEL)
  const connection = await connectionWith('/hangs ')
  await eventually(() => (connection.closed ? true : undefined), 'the end of the connection upstream')
})

test('a body goes up as it comes', async () => {
  const answer = await ask(await session(), headOf('/upload', { ':method': 'POST' }), 'a body')
  expect(answer).toMatchObject({ status: 200 })
  expect(upstream.bytes()).toContain('\r\n\r\na body')
})

test('a body that is reset never looks whole', async () => {
  const stream = (await session()).request(headOf('/hangs', { ':method': 'POST' }))
  stream.on('error', () => undefined)
  stream.write('half of it')
  const connection = await connectionWith('half of it')
  stream.destroy()
  await eventually(() => (connection.closed ? true : undefined), 'the end of the connection upstream')
  expect(connection.bytes).toMatch(/transfer-encoding: chunked[^]*half of it$/)
})

test('100-continue is said when the body is wanted, and any other expectation is refused', async () => {
  const open = await session()
  const stream = open.request(headOf('/upload', { ':method': 'POST', expect: '100-continue' }))
  await once(stream, 'continue')
  stream.end('now')
  expect((await once(stream, 'response'))[0]).toMatchObject({ ':status': 200 })
  expect(await ask(open, headOf('/v1', { expect: 'coffee' }))).toMatchObject({ status: 417 })
})

test('what is refused is answered while its body still comes, and the session goes on', async () => {
  const open = await session()
  const stream = open.request(headOf('/upload', { ':method': 'POST', 'content-length': '2000000' }))
  stream.on('error', () => undefined)
  stream.write('x'.repeat(1000))
  const [answer] = await once(stream, 'response')
  expect(answer).toMatchObject({ ':status': 413, 'content-type': 'application/problem+json' })
  stream.resume()
  await once(stream, 'close')
  expect(stream.rstCode).toBe(NO_ERROR)
  expect(await ask(open, headOf('/v1'))).toMatchObject({ status: 200 })
})

test('two hundred requests at once are all answered', async () => {
  const open = await session()
  const all = await Promise.all(Array.from({ length: 200 }, (_, at) => ask(open, headOf(`/many/${at}`))))
  for (const answer of all) expect(answer).toMatchObject({ status: 200, body: 'ok' })
  expect(open.remoteSettings.maxConcurrentStreams).toBe(100)
})

test('another authority in the same session is misdirected, and the session takes no more', async () => {
  const open = await session()
  const goaway = once(open, 'goaway')
  expect(await ask(open, { ':path': '/', ':authority': 'other.test' })).toMatchObject({ status: 421 })
  expect((await goaway)[0]).toBe(NO_ERROR)
  await eventually(() => (open.destroyed ? true : undefined), 'the end of the session')
})

test('at shutdown a session says GOAWAY, and what is in flight comes whole', async () => {
  const more = Promise.withResolvers<void>()
  const rest: Step = { send: '5\r\nwhole\r\n0\r\n\r\n' }
  const slow = await startUpstream(() => [HALF, { wait: more.promise }, rest], await authority.issue(['api.crm.test']))
  const own = await startCrmForTest({ port: slow.port, settings: { ca: { directory: 'ca' } } })
  const to = `api.crm.test:${slow.port}`
  const open = await session(own, to)
  const goaway = once(open, 'goaway')
  const answer = ask(open, { ':path': '/slow', ':authority': to })
  await eventually(() => (slow.heads().length === 1 ? true : undefined), 'the request upstream')
  const stopped = own.stop()
  await goaway
  more.resolve()
  expect(await answer).toMatchObject({ status: 200, body: 'halfwhole', rstCode: NO_ERROR })
  expect(await stopped).toBe(0)
  await slow.close()
})
