import { expect, test } from 'vitest'
import { Problem } from '../../src/core/problem.ts'
import { Trace } from '../../src/gate/trace.ts'
import { HandClock } from '../support/hand-clock.ts'

const clock = { now: () => Date.parse('2027-01-02T03:04:05.678Z'), monotonic: () => 10 }

function entryOf(asked: object) {
  return new Trace({ id: 'one', door: 'forward 127.0.0.1:1', method: 'GET', ...asked }, clock).entry()
}

test('G05: control characters are escaped, and nothing is cut', () => {
  const path = `/${'a'.repeat(10_000)}\u001b[31m\u009b\u007f\u2028\r\nforged`
  const { path: told } = entryOf({ path })
  expect(told).toMatch(/^\/a{10000}\\u\{1b\}\[31m\\u\{9b\}\\u\{7f\}\\u\{2028\}\\u\{d\}\\u\{a\}forged$/)
  expect(JSON.stringify(told)).not.toMatch(/[^ -~]/)
})

test.each([
  ['00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', '4bf92f3577b34da6a3ce929d0e0e4736'],
  ['00-00000000000000000000000000000000-00f067aa0ba902b7-01', undefined],
  ['00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01', undefined],
  ['nonsense', undefined],
])('traceparent %s', (traceparent, traceId) => {
  expect(entryOf({ fields: ['Traceparent', traceparent] }).traceId).toBe(traceId)
})

test('an ask that came to nothing is a refusal without a status', () => {
  expect(entryOf({})).toMatchObject({
    time: '2027-01-02T03:04:05.678Z',
    decision: 'refuse',
    status: undefined,
    ended: 'gone',
    bytesIn: 0,
  })
})

test('a refusal tells its code and reason', () => {
  const trace = new Trace({ id: 'one', door: 'd', method: 'GET' }, clock)
  trace.failed(new Problem('host-not-allowed', { reason: 'x is not on the allowlist' }), 403)
  expect(trace.entry()).toMatchObject({
    code: 'host-not-allowed',
    reason: 'x is not on the allowlist',
    status: 403,
    ended: 'complete',
  })
})

test('whose time it took: ours without the wait for a credential, theirs until the head of the answer', () => {
  const hand = new HandClock()
  const trace = new Trace({ id: 'one', door: 'd', method: 'GET' }, hand)
  expect(trace.parts()).toEqual({})
  hand.advance(2)
  trace.waited(100)
  hand.advance(100)
  trace.sending()
  expect(trace.parts()).toEqual({ overheadMs: 2 })
  hand.advance(30)
  trace.heard()
  // A body may take for ever, and is nobody's.
  hand.advance(10_000)
  expect(trace.parts()).toEqual({ overheadMs: 2, responseMs: 30 })
})

test('an ask that is sent twice was ours until it was sent first, and theirs until the last answer', () => {
  const hand = new HandClock()
  const trace = new Trace({ id: 'one', door: 'd', method: 'GET' }, hand)
  hand.advance(1)
  trace.sending()
  hand.advance(5)
  trace.heard()
  trace.waited(50)
  hand.advance(50)
  trace.sending()
  hand.advance(7)
  trace.heard()
  expect(trace.parts()).toEqual({ overheadMs: 1, responseMs: 62 })
})
