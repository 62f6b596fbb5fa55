import { expect, test } from 'vitest'
import { expiryFrom } from '../../src/credentials/expiry-form.ts'

const NOW = Date.UTC(2027, 0, 1)
const HOUR = 3_600_000

test.each([
  ['seconds from now', 3600, NOW + HOUR],
  ['seconds from now as text', '3600', NOW + HOUR],
  ['a part of a second', 0.5, NOW + 500],
  ['nothing left', 0, NOW],
  ['less than nothing', -1, NOW - 1000],
  ['seconds since the epoch', (NOW + HOUR) / 1000, NOW + HOUR],
  ['seconds since the epoch as text', String((NOW + HOUR) / 1000), NOW + HOUR],
  ['ms since the epoch', NOW + HOUR, NOW + HOUR],
  ['a duration', '3600s', NOW + HOUR],
  ['a duration with a fraction', '0.5s', NOW + 500],
  ['a duration of several units', '1h30m', NOW + 1.5 * HOUR],
  ['a time', '2027-01-01T01:00:00Z', NOW + HOUR],
  ['a time with nanoseconds', '2027-01-01T01:00:00.123456789Z', NOW + HOUR + 123],
  ['a time with an offset', '2027-01-01T02:00:00+01:00', NOW + HOUR],
  ['a time in the small letters of RFC 3339', '2027-01-01t01:00:00z', NOW + HOUR],
])('%s is understood', (_what, value, at) => {
  expect(expiryFrom(value, NOW)).toBe(at)
})

test.each([
  ['a time without an offset, which is another one in each place', '2027-01-01T01:00:00'],
  ['a date', '2027-01-01'],
  ['a month that is none', '2027-13-01T01:00:00Z'],
  ['words', 'tomorrow'],
  ['a unit that is none', '3600d'],
  ['units alone', 's'],
  ['nothing', ''],
  ['no number', Number.NaN],
  ['no end', Number.POSITIVE_INFINITY],
  ['a list', [3600]],
  ['an object', { seconds: 3600 }],
  ['a truth', true],
])('%s is not', (_what, value) => {
  expect(expiryFrom(value, NOW)).toBeUndefined()
})
