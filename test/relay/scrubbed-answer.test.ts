import { expect, test } from 'vitest'
import { Problem } from '../../src/core/problem.ts'
import { ScrubbedAnswer } from '../../src/relay/scrubbed-answer.ts'
import { Collected } from './http2-upstream.ts'

const forms = [Buffer.from('secret')]

function scrubbed({ method = 'GET', isSlow = false } = {}) {
  const collected = new Collected(isSlow)
  return { collected, answer: new ScrubbedAnswer(collected, { method, forms }) }
}

test('fields, their names, body and trailers come through without it, as long as they were', () => {
  const { collected, answer } = scrubbed()
  answer.start(200, 'OK secret', ['Location', '/?k=secret', 'X-secret', '1', 'Content-Length', '10'])
  expect(answer.write(Buffer.from('a sec'))).toBe(true)
  expect(answer.write(Buffer.from('ret b'))).toBe(true)
  answer.end(['Grpc-Message', 'secret', 'Grpc-Status', '3'])
  expect(collected.fields).toEqual(['Location', '/?k=******', 'X-******', '1', 'Content-Length', '10'])
  expect(collected.body.toString()).toBe('a ****** b')
  expect(collected.trailers).toEqual(['Grpc-Message', '******', 'Grpc-Status', '3'])
})

test('what was held back comes out at the end, and nothing of it after a break', () => {
  const ended = scrubbed()
  ended.answer.start(200, '', [])
  ended.answer.write(Buffer.from('a sec'))
  expect(ended.collected.body.toString()).toBe('a ')
  ended.answer.end()
  expect(ended.collected.body.toString()).toBe('a sec')
  const broken = scrubbed()
  broken.answer.start(200, '', [])
  broken.answer.write(Buffer.from('a sec'))
  broken.answer.break()
  expect([broken.collected.body.toString(), broken.collected.ended]).toEqual(['a ', 'broken'])
})

test('a caller that is slow holds it up as it would without', () => {
  const { answer } = scrubbed({ isSlow: true })
  answer.start(200, '', [])
  expect(answer.write(Buffer.from('text'))).toBe(false)
  expect(answer.write(Buffer.from('sec'))).toBe(true)
})

test.each([
  ['GET', 200, ['Content-Encoding', 'gzip'], true],
  ['GET', 200, ['content-encoding', 'identity, br'], true],
  ['POST', 200, ['Grpc-Encoding', 'gzip'], true],
  ['GET', 200, ['Content-Encoding', 'identity'], false],
  ['HEAD', 200, ['Content-Encoding', 'gzip'], false],
  ['GET', 304, ['Content-Encoding', 'gzip'], false],
])('to %s, %i with %j: refused is %s, before anything goes out', (method, status, fields, isRefused) => {
  const { collected, answer } = scrubbed({ method })
  const start = () => answer.start(status, '', fields)
  if (isRefused) expect(start).toThrow(Problem)
  else start()
  expect(collected.hasStarted).toBe(!isRefused)
})
