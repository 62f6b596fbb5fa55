/**
 * Whether every server reads `path` alike. Dot segments, empty segments, backslashes, and their percent-encoded or
 * `;parameter` disguises are resolved by some servers and not by others, some decode twice, and some trim; so a rule about
 * paths can say nothing true of them (CVE-2021-41773 and its many kin). `path` starts with "/" and has no query.
 */
export function hasOneReading(path: string): boolean {
  if (path.includes('//') || path.includes('\\') || DISGUISED.test(path)) return false
  return !(path.includes('.') || DISGUISED_DOT.test(path)) || !path.split('/').some(isDotSegment)
}

/** An encoded slash, backslash or NUL; or an encoded percent sign before two hex digits, themselves encoded or not. */
const DISGUISED = /%(?:2f|5c|00|25(?:[0-9a-f]|%3[0-9]|%[46][1-6]){2})/i
const DISGUISED_DOT = /%2e/i

/** Ends at what some servers cut a segment off at: a parameter, a blank, a mark of a query or fragment, a control. */
function isDotSegment(segment: string): boolean {
  const name = segment.replace(/%2e/gi, '.').replace(/(?:;|%3b|%20|%3f|%23|%09|%0[0-9a-d]).*$/i, '')
  return name === '.' || name === '..'
}

/** Whether `path` is `base` or lies below it. `base` is "/v1", or "" for everything. */
export function isBelow(path: string, base: string): boolean {
  return base === '' || path === base || path.startsWith(`${base}/`)
}
