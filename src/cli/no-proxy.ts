import { isIPv4, isIPv6 } from 'node:net'

/** What no proxy is asked for: this machine itself, in its three spellings. */
const OURS = ['localhost', '127.0.0.1', '::1']

/**
 * What the environment already keeps from proxies, in either spelling of the variable, and this machine itself. Nothing is
 * dropped: what the user excluded may be all that works there. `*` alone means everything to every client, and in a list
 * to few of them, so it stays alone.
 */
export function mergeNoProxy(env: NodeJS.ProcessEnv): string {
  const entries = noProxyEntries(env)
  return entries.includes('*') ? '*' : [...new Set([...entries, ...OURS])].join(',')
}

/** The user's own entries. */
export function noProxyEntries(env: NodeJS.ProcessEnv): string[] {
  return [env['NO_PROXY'], env['no_proxy']].flatMap((text) => (text ?? '').split(/[\s,]+/).filter(Boolean))
}

/**
 * Whether some client would go past its proxy for a host of this pattern. They differ on whether `api.test` means
 * `a.api.test`, and `.api.test` means `api.test`; here both do.
 */
export function covers(entry: string, pattern: string): boolean {
  if (entry === '*') return true
  const name = entry
    .toLowerCase()
    .replace(/:\d+$/, '')
    .replace(/^\*?\./, '')
    .replace(/\.$/, '')
  const host = pattern.replace(/^\*\./, '')
  const isWildcard = host !== pattern
  return host === name || host.endsWith(`.${name}`) || (isWildcard && name.endsWith(`.${host}`))
}

/**
 * The same list as Java's `http.nonProxyHosts`. Ranges and ports have no form there: such a host is asked for through the
 * proxy, which may refuse it.
 */
export function javaNonProxyHosts(noProxy: string): string {
  return [...new Set(noProxy.split(',').flatMap(inJava))].join('|')
}

function inJava(entry: string): string[] {
  if (entry === '*' || isIPv4(entry)) return [entry]
  if (isIPv6(entry)) return [`[${entry}]`]
  const name = /^(\*?\.)?([\w-]+(?:\.[\w-]+)*)$/.exec(entry)
  if (!name) return []
  return name[1] === undefined ? [entry, `*.${entry}`] : [`*.${name[2]}`]
}
