import { once } from 'node:events'
import type { ServerHttp2Stream } from 'node:http2'
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { Problem } from '../../src/core/problem.ts'
import { eventually } from '../support/sallyport.ts'
import { startUpstream } from '../support/upstream.ts'
import { expectProblem } from '../wire/upstreams.ts'
import { ask, Collected, http2Server, identity, uploading, upstreamAt } from './http2-upstream.ts'

const REVOKED = new Problem('access-revoked', { reason: 'grant-missing: revoked' })

/** What cuts a relay, once it listens. */
function scissors() {
  let cut: (problem: Problem) => void = () => undefined
  return { onCut: (listener: typeof cut) => void (cut = listener), cut: () => cut(REVOKED) }
}

test('a stream of HTTP/2 that is cut is broken for the caller, and reset at the upstream', async () => {
  const streams: ServerHttp2Stream[] = []
  const server = await http2Server((stream) => {
    streams.push(stream)
    stream.respond({ ':status': 200 })
    stream.write('half')
  })
  const { onCut, cut } = scissors()
  const answer = new Collected()
  const body = new PassThrough()
  const outcome = ask(upstreamAt(server.port), '/', { answer, onCut, incoming: uploading(body) })
  body.write('part of an upload')
  await eventually(() => (answer.body.length > 0 ? true : undefined), 'a first byte')
  cut()
  expect(await outcome).toMatchObject({ ended: 'broken', status: 200, problem: REVOKED, bytesOut: 4 })
  expect(answer.ended).toBe('broken')
  const [stream] = streams
  if (stream && !stream.closed) await once(stream, 'close')
  expect([stream?.aborted, stream?.readableEnded]).toEqual([true, false])
})

test('a request that still waits for a connection is over at once, and never sent', async () => {
  const upstream = await startUpstream(() => ['hang'], identity)
  const relaying = upstreamAt(upstream.port, { maxConcurrent: 1 })
  const first = ask(relaying, '/first').catch(() => undefined)
  await eventually(() => upstream.heads()[0], 'the first request at the upstream')
  const { onCut, cut } = scissors()
  const answer = new Collected()
  const second = ask(relaying, '/second', { answer, onCut })
  cut()
  await expectProblem(second, 'access-revoked')
  await relaying.destroy()
  await first
  expect([upstream.heads().length, answer.ended]).toEqual([1, undefined])
  await upstream.close()
})

test('one that waits for its first connection is over at once, and what answers it is left alone', async () => {
  const { onCut, cut } = scissors()
  const upstream = await startUpstream(undefined, identity)
  const answer = new Collected()
  const relaying = upstreamAt(upstream.port, { maxConcurrent: 1 })
  const outcome = ask(relaying, '/cut', { answer, onCut })
  cut()
  await expectProblem(outcome, 'access-revoked')
  // The refusal has been written by whoever was told of it.
  answer.start(403, '', [])
  // Behind it in the queue of the one connection: once this is answered, the other has had its turn.
  await ask(relaying, '/after')
  expect([upstream.heads().length, upstream.bytes().includes('/cut'), answer.ended]).toEqual([1, false, undefined])
  await upstream.close()
})
