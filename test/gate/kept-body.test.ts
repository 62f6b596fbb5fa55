import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { keepBody } from '../../src/gate/kept-body.ts'
import { eventually } from '../support/sallyport.ts'

const LIMIT = 65_536
const proceed = () => undefined

function keep(framing: Parameters<typeof keepBody>[0]['framing'] = { body: 'chunked' }) {
  const stream = new PassThrough({ highWaterMark: 1024 * 1024 })
  return { stream, kept: keepBody({ framing, stream, proceed }) }
}

async function ended(stream: PassThrough, ...chunks: string[]): Promise<void> {
  for (const chunk of chunks) stream.write(chunk)
  stream.end()
  await once(stream, 'end')
}

test.each([
  ['in pieces', ['a', '', 'bc', 'd'.repeat(3_000), 'e'.repeat(20_000)]],
  ['as much as is kept', ['x'.repeat(LIMIT)]],
  ['as much as is kept, to the byte', ['x', 'y'.repeat(LIMIT - 2), 'z']],
])('what has gone up %s is had again as it was', async (_how, chunks) => {
  const { stream, kept } = keep()
  await ended(stream, ...chunks)
  const again = kept.again()
  expect(again?.framing).toEqual({ body: 'chunked' })
  expect(again && (await text(again.stream))).toBe(chunks.join(''))
})

test('one byte more is not', async () => {
  const { stream, kept } = keep()
  await ended(stream, 'x'.repeat(LIMIT), 'y')
  expect(kept.again()).toBeUndefined()
})

test('nor is what has not all come, what was announced as more, or what was forgotten', async () => {
  const { stream, kept } = keep()
  stream.write('x')
  expect(kept.again()).toBeUndefined()
  expect(keep({ body: 'length', length: LIMIT + 1 }).kept.again()).toBeUndefined()
  kept.forget()
  stream.resume()
  await ended(stream, 'y')
  expect(kept.again()).toBeUndefined()
})

test('a body in chunks of one byte each is kept without what each of them takes', async () => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number } // it listens on TCP
  const asked = once(server, 'request') as Promise<[IncomingMessage]>
  const socket = connect(port, '127.0.0.1')
  socket.write(`POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n${'1\r\nx\r\n'.repeat(1_000)}0\r\n\r\n`)
  const [stream] = await asked
  const seen: WeakRef<Buffer>[] = []
  const kept = keepBody({ framing: { body: 'chunked' }, stream, proceed })
  stream.on('data', (chunk: Buffer) => seen.push(new WeakRef(chunk)))
  await once(stream, 'end')
  expect(seen).toHaveLength(1_000)
  const collect = collector()
  await eventually(() => {
    collect()
    return seen.filter((chunk) => chunk.deref()).length < 10 || undefined
  }, 'the chunks to be collected')
  const again = kept.again()
  expect(again && (await text(again.stream))).toBe('x'.repeat(1_000))
  socket.destroy()
  server.close()
})

function collector(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void // what the flag has just exposed
}
