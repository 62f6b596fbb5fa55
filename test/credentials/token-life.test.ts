import { expect, test } from 'vitest'
import { isReached, lifeOf, lifeOfSame } from '../../src/credentials/token-life.ts'

const sentAt = { wall: 1_000_000, monotonic: 5_000 }

test.each([
  [0, 2_700_000],
  [0.5, 2_880_000],
  [0.999999, 3_060_000],
])('J23: an hour of life is refreshed at 75 to 85 %%, by chance %f', (random, ms) => {
  const { refreshFrom } = lifeOf({ sentAt, lifetimeMs: 3_600_000 }, random)
  expect(refreshFrom.monotonic - sentAt.monotonic).toBeCloseTo(ms, -1)
  expect(refreshFrom.wall - sentAt.wall).toBeCloseTo(ms, -1)
})

test.each([
  [3_600_000, 3_590_000],
  [100_000, 90_000],
  [60_000, 54_000],
  [1_000, 900],
])('a life of %i ms is used for %i ms: the margin is 10 s, or a tenth', (lifetimeMs, ms) => {
  expect(lifeOf({ sentAt, lifetimeMs }, 0).usableUntil).toEqual({ wall: 1_000_000 + ms, monotonic: 5_000 + ms })
})

test('a point is reached when either clock says so', () => {
  expect(isReached(sentAt, { wall: 999_999, monotonic: 4_999 })).toBe(false)
  expect(isReached(sentAt, { wall: 1_000_000, monotonic: 4_999 })).toBe(true)
  expect(isReached(sentAt, { wall: 999_999, monotonic: 5_000 })).toBe(true)
})

test.each([
  [600_000, 295_000],
  [30_000, 13_500],
  [6_000, 5_000],
])('J16: the same token with %i ms left is asked for again after %i ms', (lifetimeMs, ms) => {
  const life = lifeOfSame(lifeOf({ sentAt, lifetimeMs }, 0.5), sentAt)
  expect(life.refreshFrom.monotonic - sentAt.monotonic).toBe(ms)
})
