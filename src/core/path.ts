/**
 * Whether every server reads `path` alike. Dot segments, empty segments, backslashes, and their percent-encoded or
 * `;parameter` disguises are resolved by some servers and not by others, so a rule about paths can say nothing true of
 * them (CVE-2021-41773 and its many kin). `path` starts with "/" and has no query.
 */
export function hasOneReading(path: string): boolean {
  if (path.includes('//') || path.includes('\\') || /%(?:25)*(?:2f|5c|00)/i.test(path)) return false
  if (!path.includes('.') && !/%(?:25)*2e/i.test(path)) return true
  return !path.split('/').some(isDotSegment)
}

function isDotSegment(segment: string): boolean {
  const name = segment.replace(/;.*$/, '').replace(/%(?:25)*2e/gi, '.')
  return name === '.' || name === '..'
}

/** Whether `path` is `base` or lies below it. `base` is "/v1", or "" for everything. */
export function isBelow(path: string, base: string): boolean {
  return base === '' || path === base || path.startsWith(`${base}/`)
}
