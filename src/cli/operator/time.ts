const UNITS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

/** `30d`, `12h`, `90m`, `45s` or `2w` in ms. @throws Error in words */
export function durationOf(text: string): number {
  const [, count = '', unit = ''] = /^([1-9]\d{0,8})([smhdw])$/.exec(text) ?? []
  const ms = Number(count) * (UNITS[unit] ?? Number.NaN)
  if (Number.isSafeInteger(ms)) return ms
  throw new Error(`use a number and a unit, as in 90m, 12h, 30d or 2w (was "${text.slice(0, 40)}")`)
}

/** A duration from now on, or a time of its own with its offset, as ISO 8601. @throws Error in words */
export function timeAhead(text: string, now: number): string {
  return /^\d+[smhdw]$/.test(text) ? iso(now + durationOf(text)) : timeOf(text)
}

/** The same, counted back. */
export function timeBack(text: string, now: number): string {
  return /^\d+[smhdw]$/.test(text) ? iso(now - durationOf(text)) : timeOf(text)
}

const DAY_OR_TIME = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/

function timeOf(text: string): string {
  const ms = DAY_OR_TIME.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(ms)) return iso(ms)
  throw new Error(`use a duration such as 30d, or a time such as 2027-06-30T00:00:00Z (was "${text.slice(0, 40)}")`)
}

function iso(ms: number): string {
  if (ms < 0 || ms > 8_000_000_000_000) throw new Error('use a time that a calendar has')
  return new Date(ms).toISOString()
}
