import type { PresentedKey } from '../core/ask.ts'
import { Secret } from '../core/secret.ts'

/** The keys that a header shows; `unreadable` when there is something that is no key of any scheme. */
export interface ShownKeys {
  readonly keys: readonly PresentedKey[]
  readonly unreadable: boolean
}

const NONE: ShownKeys = { keys: [], unreadable: false }
const UNREADABLE: ShownKeys = { keys: [], unreadable: true }

/** Proxy-Authorization: `Basic caller:key`, as a proxy URL gives it, or `Bearer key`. Meant for us alone. */
export function proxyKeys(values: readonly string[]): ShownKeys {
  const [value] = values
  if (value === undefined) return NONE
  if (values.length > 1) return UNREADABLE
  const [, scheme = '', token = ''] = /^([A-Za-z]+) +(\S+)$/.exec(value) ?? []
  if (scheme.toLowerCase() === 'bearer') return shown(token, undefined)
  if (scheme.toLowerCase() !== 'basic') return UNREADABLE
  const pair = basicPair(token)
  return pair ? shown(pair.password, pair.user === '' ? undefined : pair.user) : UNREADABLE
}

/**
 * Authorization at a reverse door: Bearer or Basic with the caller key where the upstream's own key would be. The user of
 * Basic is whatever the app's SDK puts there; some put the key itself in it and leave the password empty.
 */
export function originKeys(values: readonly string[]): readonly PresentedKey[] {
  return values.flatMap((value) => {
    const [, scheme = '', token = ''] = /^([A-Za-z]+) +(\S+)$/.exec(value) ?? []
    if (scheme.toLowerCase() === 'bearer') return [{ key: new Secret(token) }]
    const pair = scheme.toLowerCase() === 'basic' ? basicPair(token) : undefined
    return pair ? [{ key: new Secret(pair.password === '' ? pair.user : pair.password) }] : []
  })
}

function shown(key: string, caller: string | undefined): ShownKeys {
  return key === '' ? UNREADABLE : { keys: [{ key: new Secret(key), caller }], unreadable: false }
}

/** @see RFC 7617 section 2 */
function basicPair(token: string): { user: string; password: string } | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(token)) return undefined
  const text = Buffer.from(token, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon === -1 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) }
}
