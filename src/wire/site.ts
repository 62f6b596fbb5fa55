import { parseAuthority } from './authority.ts'
import { valuesOf } from './fields.ts'
import type { Fault } from './framing.ts'

/** How a TCP door may be addressed. */
export interface Site {
  readonly listen: string
  readonly hostnames: readonly string[]
}

const LOCAL = new Set(['localhost', '127.0.0.1', '[::1]'])

/**
 * Any page in a browser on this machine can reach a loopback port. A foreign `Host` is a rebound name
 * (CVE-2018-14505); `Origin` and `Sec-Fetch-Site` are set by the browser, and tell whose page asks.
 */
export function faultOfSite(fields: readonly string[], site: Site): Fault | undefined {
  const [host = ''] = valuesOf(fields, 'host')
  if (!isOurs(host, site)) return { code: 'host-misdirected', reason: 'Host is not a name of this door' }
  if (valuesOf(fields, 'sec-fetch-site').some((from) => from !== 'same-origin' && from !== 'none')) return CROSS_SITE
  const isForeign = valuesOf(fields, 'origin').some((origin) => origin.replace(/^https?:\/\//, '') !== host)
  return isForeign ? CROSS_SITE : undefined
}

const CROSS_SITE: Fault = { code: 'cross-site', reason: 'a browser sent this for a page of another origin' }

function isOurs(host: string, { listen, hostnames }: Site): boolean {
  const name = parseAuthority(host)?.host
  if (name === undefined) return false
  return LOCAL.has(name) || listen.startsWith(`${name}:`) || hostnames.includes(name)
}
