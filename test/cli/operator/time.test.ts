import { expect, test } from 'vitest'
import { durationOf, timeAhead, timeBack } from '../../../src/cli/operator/time.ts'

const NOW = Date.UTC(2027, 0, 1)

test.each([
  ['45s', 45_000],
  ['90m', 5_400_000],
  ['12h', 43_200_000],
  ['30d', 2_592_000_000],
  ['2w', 1_209_600_000],
])('%s is %i ms', (text, ms) => expect(durationOf(text)).toBe(ms))

test.each(['', '30', 'd', '-1d', '1.5h', '0d', '1y', '1 d', '99999999999w'])('"%s" is no duration', (text) => {
  expect(() => durationOf(text)).toThrow(/use a number and a unit/)
})

test('a duration counts from now on, or back', () => {
  expect(timeAhead('1d', NOW)).toBe('2027-01-02T00:00:00.000Z')
  expect(timeBack('1d', NOW)).toBe('2026-12-31T00:00:00.000Z')
})

test('a time is taken with its offset, and a day begins in UTC', () => {
  expect(timeAhead('2027-06-30T02:00:00+02:00', NOW)).toBe('2027-06-30T00:00:00.000Z')
  expect(timeAhead('2027-06-30', NOW)).toBe('2027-06-30T00:00:00.000Z')
})

test.each(['tomorrow', '2027-06-30T02:00', '2027-13-01', '2027-06-30T25:00Z', '+100000-01-01'])(
  '"%s" is no time',
  (text) => expect(() => timeAhead(text, NOW)).toThrow(/use a duration such as 30d, or a time/),
)

test('a duration that ends after all calendars is refused', () => {
  expect(() => timeAhead('99999999d', NOW)).toThrow(/a calendar/)
})
