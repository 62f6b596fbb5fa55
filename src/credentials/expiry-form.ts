/** Below it, a number is a lifetime in seconds: 31 years, or else a time before September 2001. */
const LONGEST_S = 1e9
/** Below it, a number counts seconds since the epoch, until the year 5138; from it on ms, since March 1973. */
const LATEST_S = 1e11
const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/
const DURATION = /^(?=\d)(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?$/

/**
 * When something ends, in the forms that issuers have for it: seconds from now, seconds or ms since the epoch (their sizes
 * tell them apart), RFC 3339, and a duration such as "3600s" or "1h30m". `now`: what a lifetime is counted from.
 * Ms since the epoch; undefined: it is none of these, so that nobody knows.
 */
export function expiryFrom(value: unknown, now: number): number | undefined {
  if (typeof value === 'number' && Number.isFinite(value)) return fromNumber(value, now)
  if (typeof value !== 'string') return undefined
  if (/^-?\d+(?:\.\d+)?$/.test(value)) return fromNumber(Number(value), now)
  const [, hours, minutes, seconds] = DURATION.exec(value) ?? []
  if (hours ?? minutes ?? seconds)
    return now + ((Number(hours ?? 0) * 60 + Number(minutes ?? 0)) * 60 + Number(seconds ?? 0)) * 1000
  return RFC_3339.test(value) ? fromText(value) : undefined
}

function fromNumber(value: number, now: number): number {
  if (value < LONGEST_S) return now + value * 1000
  return value < LATEST_S ? value * 1000 : value
}

function fromText(text: string): number | undefined {
  const at = Date.parse(text.toUpperCase().replace(' ', 'T'))
  return Number.isNaN(at) ? undefined : at
}
