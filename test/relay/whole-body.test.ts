import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { wholeBody } from '../../src/relay/whole-body.ts'
import type { Framing } from '../../src/wire/framing.ts'

const BOUNDS = { maxBytes: 4, timeoutMs: 5_000 }

function arriving(framing: Framing) {
  const stream = new PassThrough()
  let proceeded = 0
  return { stream, incoming: { framing, stream, proceed: () => proceeded++ }, proceeded: () => proceeded }
}

test('a body is read whole, once the caller was told to go on', async () => {
  const { stream, incoming, proceeded } = arriving({ body: 'chunked' })
  const whole = wholeBody(incoming, BOUNDS)
  stream.write('ab')
  stream.end('cd')
  expect((await whole).toString()).toBe('abcd')
  expect(proceeded()).toBe(1)
})

test('no body is an empty one', async () => {
  const { incoming } = arriving({ body: 'none' })
  expect(await wholeBody(incoming, BOUNDS)).toHaveLength(0)
})

test('what is announced as too large is refused before a caller that waits is told to go on', async () => {
  const { incoming, proceeded } = arriving({ body: 'length', length: 5 })
  await expect(wholeBody(incoming, BOUNDS)).rejects.toMatchObject({ code: 'body-too-large' })
  expect(proceeded()).toBe(0)
})

test('what turns out too large is refused, and its stream left to whoever answers', async () => {
  const { stream, incoming } = arriving({ body: 'chunked' })
  stream.write('abcde')
  await expect(wholeBody(incoming, BOUNDS)).rejects.toMatchObject({ code: 'body-too-large' })
  expect(stream.destroyed).toBe(false)
})

test('a body that ends early is no body, and one that does not end in time is given up', async () => {
  const early = arriving({ body: 'length', length: 3 })
  const reading = wholeBody(early.incoming, BOUNDS)
  early.stream.write('ab')
  early.stream.destroy()
  await expect(reading).rejects.toMatchObject({ code: 'request-malformed' })
  const slow = arriving({ body: 'length', length: 3 })
  await expect(wholeBody(slow.incoming, { ...BOUNDS, timeoutMs: 20 })).rejects.toMatchObject({
    code: 'request-timeout',
  })
})
