import { isIP } from 'node:net'

const DAY_MS = 86_400_000
/** So long before its end something is worth a warning. */
export const SOON_MS = 14 * DAY_MS

/** A host of a pattern, with something in the place of a star; undefined for an address. */
export function probeHost(pattern: string): string | undefined {
  const host = pattern.replace(/^\*/, 'sallyport-doctor')
  return isIP(host.replace(/^\[|\]$/g, '')) === 0 ? host : undefined
}

/** How long something is good for still. `at`: ms since the epoch; undefined where it does not end. */
export function expiry(
  at: number | undefined,
  now: number,
  soonMs = SOON_MS,
): { state: 'ok' | 'warning' | 'failed'; says: string } {
  if (at === undefined) return { state: 'ok', says: 'has no end' }
  if (at <= now) return { state: 'failed', says: `ended on ${iso(at)}` }
  if (at - now > soonMs) return { state: 'ok', says: `is good until ${iso(at)}` }
  return { state: 'warning', says: `ends on ${iso(at)}, in ${Math.floor((at - now) / DAY_MS)} days` }
}

/** A time as people and programs read it. */
export function iso(ms: number): string {
  return new Date(ms).toISOString()
}
