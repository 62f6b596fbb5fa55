import { parseName } from './host.ts'

/**
 * Values by host pattern. A pattern is an exact name, or `*.suffix`: any depth below the suffix, never the suffix itself.
 * The most specific pattern wins: the exact name, then the longest suffix.
 */
export class HostTable<T> {
  readonly #exact = new Map<string, T>()
  readonly #suffix = new Map<string, T>()

  constructor(rows: Iterable<readonly [pattern: string, value: T]>) {
    for (const [pattern, value] of rows) {
      if (pattern.startsWith('*.')) this.#suffix.set(pattern.slice(1), value)
      else this.#exact.set(pattern, value)
    }
  }

  /** `host` is canonical, as `parseHost` gives it. Compares whole labels: `evilapi.test` is not `*.api.test`. */
  find(host: string): T | undefined {
    const exact = this.#exact.get(host)
    if (exact !== undefined) return exact
    for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
      const value = this.#suffix.get(host.slice(dot))
      if (value !== undefined) return value
    }
    return undefined
  }
}

/** Suffixes of one label that no stranger can register under (RFC 6761, 6762; ICANN's `internal`). */
const PRIVATE_SUFFIXES = new Set([
  'test',
  'internal',
  'local',
  'localhost',
  'example',
  'invalid',
  'onion',
  'lan',
  'corp',
])

/** What is wrong with a host pattern, with the form to use; undefined when it is right. */
export function faultOfPattern(pattern: string): string | undefined {
  const suffix = pattern.startsWith('*.') ? pattern.slice(2) : undefined
  const name = suffix ?? pattern
  const canonical = parseName(name)
  if (canonical === undefined) return faultOfName(name, suffix !== undefined)
  const form = suffix === undefined ? canonical : `*.${canonical}`
  if (canonical !== name) return `use "${form}": lower case, no trailing dot`
  if (suffix !== undefined && !suffix.includes('.') && !PRIVATE_SUFFIXES.has(suffix)) {
    return `"*.${suffix}" covers names of strangers; name at least two labels, as in "*.example.${suffix}"`
  }
  return undefined
}

function faultOfName(name: string, isWildcard: boolean): string {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(name)) return 'use the bare host name, as in "api.example.com", without a scheme'
  if (name.includes('/')) return 'use the bare host name, as in "api.example.com"; a path goes into basePath or a rule'
  if (/^[^:]+:\d+$/.test(name)) return 'use the bare host name, as in "api.example.com"; a port goes into port'
  if (/^\[|^[\d.]+$|:/.test(name))
    return 'use a host name; an address is never on the allowlist (dns.hosts can pin a name to one)'
  if (/[^ -~]/.test(name)) return 'use the punycode form of the name, as in "xn--bcher-kva.example"'
  if (name.includes('*')) return 'use an exact name or "*.suffix"; a star elsewhere has no meaning'
  return `use a ${isWildcard ? 'wildcard such as "*.files.example.net"' : 'name such as "api.example.com"'}`
}
