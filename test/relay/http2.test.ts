import { constants, type ServerHttp2Stream } from 'node:http2'
import { addAbortSignal, PassThrough } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { Problem } from '../../src/core/problem.ts'
import { eventually } from '../support/sallyport.ts'
import { OK, startUpstream } from '../support/upstream.ts'
import { expectProblem } from '../wire/upstreams.ts'
import { ask, Collected, http2Server, identity, uploading, upstreamAt } from './http2-upstream.ts'

const { NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_REFUSED_STREAM } = constants

/** Answers in `chunks` chunks of 1000 bytes, and then with these trailers. */
function answerWith(stream: ServerHttp2Stream, chunks: number, trailers: Record<string, string | string[]>): void {
  stream.respond({ ':status': 200 }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers(trailers))
  for (let at = 0; at < chunks; at++) stream.write(Buffer.alloc(1000, at))
  stream.end()
}

test('an answer with trailers comes whole, though its caller reads slowly', async () => {
  const server = await http2Server((stream) => answerWith(stream, 30, { 'grpc-status': '0' }))
  const answer = new Collected(true)
  const outcome = await ask(upstreamAt(server.port), '/', { answer })
  expect(outcome).toMatchObject({ ended: 'complete', status: 200, bytesOut: 30_000, upstreamAddress: '127.0.0.1' })
  expect(answer).toMatchObject({ ended: 'whole', trailers: ['grpc-status', '0'] })
  expect(answer.body).toHaveLength(30_000)
})

test('trailers keep their order and repeats, and lose what only a head may say', async () => {
  const server = await http2Server((stream) => {
    const forbidden = { 'content-type': 'text/html', 'set-cookie': 'a=b', 'www-authenticate': 'Basic', trailer: 'x' }
    answerWith(stream, 1, { ...forbidden, 'x-a': ['1', '2'], 'grpc-message': 'done', 'proxy-status': 'liar' })
  })
  const answer = new Collected()
  await ask(upstreamAt(server.port), '/', { answer })
  expect(answer.trailers).toEqual(['x-a', '1', 'x-a', '2', 'grpc-message', 'done'])
})

// `close` of Node would send END_STREAM first.
const RESETS: readonly (readonly [string, (stream: ServerHttp2Stream) => void])[] = [
  ['NO_ERROR', (stream) => stream.destroy()],
  ['CANCEL', (stream) => addAbortSignal(AbortSignal.abort(), stream)],
  ['INTERNAL_ERROR', (stream) => stream.destroy(new Error('broken'))],
]

test.each(RESETS)('an answer that is reset with %s is broken, never whole', async (_name, reset) => {
  const server = await http2Server((stream) => {
    stream.respond({ ':status': 200 })
    stream.write('half', () => setImmediate(reset, stream))
  })
  const answer = new Collected()
  const outcome = await ask(upstreamAt(server.port), '/', { answer })
  expect(outcome).toMatchObject({ ended: 'broken', problem: { code: 'upstream-unreachable' } })
  expect(answer).toMatchObject({ ended: 'broken', status: 200 })
})

test('the head goes up as HTTP/2 has it: an authority for Host, lower case, and TE', async () => {
  const heads: [string, unknown][][] = []
  const server = await http2Server((stream, _path, headers) => {
    heads.push(Object.entries(headers))
    stream.respond({ ':status': 204 }, { endStream: true })
  })
  const fields = ['Host', 'api.test', 'X-Own', 'yes', 'TE', 'trailers']
  await ask(upstreamAt(server.port), '/v1?a=b', { fields })
  expect(heads).toEqual([
    [
      [':method', 'GET'],
      [':scheme', 'https'],
      [':authority', 'api.test'],
      [':path', '/v1?a=b'],
      ['x-own', 'yes'],
      ['te', 'trailers'],
    ],
  ])
})

test('fields that a caller says twice, against the rules, are passed on as they are', async () => {
  const server = await http2Server((stream) => stream.respond({ ':status': 204 }, { endStream: true }))
  const fields = ['Host', 'api.test', 'ETag', 'a', 'etag', 'b']
  expect(await ask(upstreamAt(server.port), '/', { fields })).toMatchObject({ ended: 'complete', status: 204 })
})

test('a field that HTTP/2 cannot carry costs its own request alone', async () => {
  const server = await http2Server((stream) => stream.respond({ ':status': 204 }, { endStream: true }))
  const upstream = upstreamAt(server.port)
  await expect(ask(upstream, '/', { fields: ['Host', 'api.test', 'Upgrade', 'x'] })).rejects.toBeInstanceOf(Problem)
  expect(await ask(upstream, '/')).toMatchObject({ ended: 'complete', status: 204 })
})

test('an upstream that chooses HTTP/1.1 is served so, on the connection that was made to find out, without TE', async () => {
  const server = await startUpstream(() => OK, identity)
  onTestFinished(() => server.close())
  const upstream = upstreamAt(server.port)
  const fields = ['Host', 'api.test', 'TE', 'trailers']
  const outcomes = await Promise.all([ask(upstream, '/a', { fields }), ask(upstream, '/b', { fields })])
  expect(outcomes).toMatchObject([{ ended: 'complete' }, { ended: 'complete' }])
  expect(await ask(upstream, '/c')).toMatchObject({ ended: 'complete', status: 200, upstreamAddress: '127.0.0.1' })
  expect(server.heads()).toHaveLength(3)
  expect(server.bytes().toLowerCase()).not.toContain('trailers')
  expect(server.connections).toHaveLength(2)
})

test('what a caller sends goes up while the answer comes down', async () => {
  const server = await http2Server((stream) => {
    stream.respond({ ':status': 200 })
    stream.pipe(stream)
  })
  const body = new PassThrough()
  const answer = new Collected()
  const done = ask(upstreamAt(server.port), '/', { incoming: uploading(body), answer })
  for (const word of ['one', 'two', 'three']) {
    body.write(word)
    await eventually(() => (answer.body.toString().endsWith(word) ? true : undefined), word)
  }
  body.end()
  expect(await done).toMatchObject({ ended: 'complete', bytesIn: 11, bytesOut: 11 })
})

test('a body that breaks off is a reset upstream, never an end', async () => {
  const ends: string[] = []
  const server = await http2Server((stream) => {
    stream.on('aborted', () => ends.push('aborted'))
    stream.on('end', () => ends.push(stream.aborted ? 'after abort' : 'end'))
    stream.resume()
  })
  const body = new PassThrough()
  body.write('half')
  const done = ask(upstreamAt(server.port), '/', { incoming: uploading(body) })
  setTimeout(() => body.destroy(), 50)
  await expect(done).rejects.toMatchObject({ name: 'Problem' })
  await eventually(() => ends[0], 'the reset')
  expect(ends).not.toContain('end')
})

test('an answer that comes before the body has ended is whole, and stops the body', async () => {
  const closed: number[] = []
  const server = await http2Server((stream) => {
    stream.on('close', () => closed.push(stream.rstCode)).resume()
    stream.respond({ ':status': 200, 'grpc-status': '7' }, { endStream: true })
  })
  const body = new PassThrough()
  body.write('half')
  const answer = new Collected()
  const outcome = await ask(upstreamAt(server.port), '/', { incoming: uploading(body), answer })
  expect(outcome).toMatchObject({ ended: 'complete', status: 200 })
  expect(answer.ended).toBe('whole')
  expect(await eventually(() => closed[0], 'the end of the stream')).toBe(NGHTTP2_CANCEL)
})

test('a caller that leaves resets the stream, and no other', async () => {
  const closed: string[] = []
  let end: () => void = () => undefined
  const server = await http2Server((stream, path) => {
    stream.on('close', () => closed.push(`${path} ${stream.rstCode}`))
    stream.respond({ ':status': 200 })
    stream.write('half')
    if (path === '/stays') end = () => stream.end()
  })
  const upstream = upstreamAt(server.port)
  const stays = ask(upstream, '/stays')
  const answer = new Collected()
  const leaves = ask(upstream, '/leaves', { answer })
  await eventually(() => (answer.body.length > 0 ? true : undefined), 'half an answer')
  answer.leave()
  expect(await leaves).toMatchObject({ ended: 'gone' })
  await eventually(() => closed[0], 'the end of its stream')
  end()
  expect(await stays).toMatchObject({ ended: 'complete' })
  await eventually(() => closed[1], 'the end of the other stream')
  expect(closed).toEqual([`/leaves ${NGHTTP2_CANCEL}`, '/stays 0'])
  expect(server.connections()).toBe(1)
})

test('requests that the upstream has no room for get a connection of their own', async () => {
  const open: ServerHttp2Stream[] = []
  const server = await http2Server((stream) => void open.push(stream), { maxConcurrentStreams: 2 })
  const upstream = upstreamAt(server.port)
  const asked = Array.from({ length: 5 }, (_, at) => ask(upstream, `/${at}`))
  await eventually(() => (open.length === 5 ? true : undefined), 'five streams at once')
  for (const stream of open) stream.respond({ ':status': 204 }, { endStream: true })
  for (const outcome of await Promise.all(asked)) expect(outcome).toMatchObject({ ended: 'complete', status: 204 })
  expect(server.connections()).toBe(3)
})

test('two callers share no connection', async () => {
  const server = await http2Server((stream) => stream.respond({ ':status': 204 }, { endStream: true }))
  const upstream = upstreamAt(server.port)
  for (const caller of ['checkout', 'reporting', 'checkout']) await ask(upstream, '/', { caller })
  expect(server.connections()).toBe(2)
})

test('a stream that a used connection refuses may be asked again: nobody has looked at it', async () => {
  const server = await http2Server((stream, path) => {
    if (path === '/again') stream.close(NGHTTP2_REFUSED_STREAM)
    else stream.respond({ ':status': 204 }, { endStream: true })
  })
  const upstream = upstreamAt(server.port)
  await ask(upstream, '/')
  expect(await ask(upstream, '/again')).toMatchObject({ ended: 'silent-close', status: 0 })
})

test('after GOAWAY what is in flight finishes, and what is asked next goes to a new connection', async () => {
  const server = await http2Server((stream, path) => {
    if (path === '/last') stream.session?.close()
    setTimeout(() => stream.respond({ ':status': 204 }, { endStream: true }), 50)
  })
  const upstream = upstreamAt(server.port)
  const last = ask(upstream, '/last')
  await eventually(() => (server.connections() === 1 ? true : undefined), 'the first connection')
  expect(await last).toMatchObject({ ended: 'complete' })
  expect(await ask(upstream, '/next')).toMatchObject({ ended: 'complete' })
  expect(server.connections()).toBe(2)
})

test('an upstream that does not answer in time is late, and its connection gets no more requests', async () => {
  const server = await http2Server((stream, path) => {
    if (path !== '/never') stream.respond({ ':status': 204 }, { endStream: true })
  })
  const upstream = upstreamAt(server.port, { responseTimeoutMs: 1_000 })
  await expectProblem(ask(upstream, '/never'), 'upstream-timeout')
  await ask(upstream, '/')
  expect(server.connections()).toBe(2)
})

test('an answer that stands still is broken; one that moves in either direction goes on', async () => {
  const server = await http2Server((stream, path) => {
    stream.respond({ ':status': 200 })
    stream.write('half')
    if (path === '/fed') stream.on('end', () => stream.end()).resume()
  })
  // Long enough for a busy machine to let a chunk through.
  const upstream = upstreamAt(server.port, { idleTimeoutMs: 1_000 })
  const body = new PassThrough()
  const fed = ask(upstream, '/fed', { incoming: uploading(body) })
  const feeding = setInterval(() => body.write('more'), 40)
  onTestFinished(() => clearInterval(feeding))
  const began = performance.now()
  await eventually(() => performance.now() - began > 1_500 || undefined, 'more time than it may stand still')
  clearInterval(feeding)
  body.end()
  expect(await fed).toMatchObject({ ended: 'complete' })
  const outcome = await ask(upstream, '/still')
  expect(outcome).toMatchObject({ ended: 'broken', problem: { code: 'upstream-timeout' } })
})

test('an upstream that resets everything gets a problem, and the process lives', async () => {
  const server = await http2Server((stream) => stream.session?.destroy(undefined, NGHTTP2_ENHANCE_YOUR_CALM))
  const upstream = upstreamAt(server.port)
  for (let turn = 0; turn < 3; turn++) await expectProblem(ask(upstream, '/'), 'upstream-unreachable')
})
