import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { delayAfter } from '../../src/credentials/backoff.ts'
import { RETRY_AFTER_CAP_MS } from '../../src/oauth/answer.ts'

const passing = { isLasting: false, retryAfterMs: 0 }

test.each([
  [1, 500],
  [2, 1_000],
  [3, 2_000],
  [4, 4_000],
])('failure %i in a row waits anything up to %i ms', (count, ceiling) => {
  expect(delayAfter({ ...passing, count, random: 0.999999 })).toBeCloseTo(ceiling, 0)
  expect(delayAfter({ ...passing, count, random: 0.5 })).toBe(ceiling / 2)
})

test('never waits less than 100 ms, however the jitter falls', () => {
  expect(delayAfter({ ...passing, count: 1, random: 0 })).toBe(100)
})

test('opens the breaker at the fifth failure in a row: at least half of the ceiling', () => {
  expect(delayAfter({ ...passing, count: 4, random: 0 })).toBe(100)
  expect(delayAfter({ ...passing, count: 5, random: 0 })).toBe(4_000)
})

test('never waits more than a minute of its own accord', () => {
  expect(delayAfter({ ...passing, count: 1000, random: 0.999999 })).toBeLessThanOrEqual(60_000)
})

test.each([
  [1, 60_000],
  [2, 120_000],
  [3, 240_000],
  [4, 480_000],
  [5, 600_000],
  [50, 600_000],
])('lasting failure %i in a row is remembered for %i ms', (count, ms) => {
  expect(delayAfter({ count, isLasting: true, retryAfterMs: 0, random: 0.3 })).toBe(ms)
})

test('J08: Retry-After is a floor, and is believed for ten minutes at most', () => {
  expect(delayAfter({ ...passing, count: 1, retryAfterMs: 30_000, random: 0.5 })).toBe(30_000)
  expect(delayAfter({ ...passing, count: 9, retryAfterMs: 1, random: 0.5 })).toBe(45_000)
  expect(delayAfter({ ...passing, count: 1, retryAfterMs: 1e12, random: 0.5 })).toBe(RETRY_AFTER_CAP_MS)
})

test('is always between its floor and ten minutes', () => {
  const failure = fc.record({
    count: fc.integer({ min: 1, max: 2000 }),
    isLasting: fc.boolean(),
    retryAfterMs: fc.nat(),
    random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  })
  fc.assert(
    fc.property(failure, (each) => {
      const delay = delayAfter(each)
      return delay >= 100 && delay >= Math.min(each.retryAfterMs, RETRY_AFTER_CAP_MS) && delay <= RETRY_AFTER_CAP_MS
    }),
  )
})
