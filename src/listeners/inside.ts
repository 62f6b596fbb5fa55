import { parseAuthority, parseOriginForm } from '../wire/authority.ts'
import { valuesOf } from '../wire/fields.ts'
import type { Fault } from '../wire/framing.ts'
import type { Head, Reader, Reading } from './door.ts'
import type { Tunnel } from './line.ts'

const DEFAULT_PORTS = { http: 80, https: 443 } as const

/** How requests inside an opened tunnel are read: origin form, and for no other host than the tunnel's. */
export const insideReader: Reader = {
  // Whoever asks here believes to talk to the origin; a proxy's challenge would make no sense to it.
  challenge: 'origin',
  evidence: (_fields, { tunnel }) => tunnel?.evidence ?? { keys: [], keysAre: 'certain', unreadable: true },
  read({ target, fields, line: { tunnel } }: Head): Reading | Fault {
    if (!tunnel) return { code: 'internal-error', reason: 'a request inside no tunnel' }
    const parts = parseOriginForm(target)
    if (!parts) return { code: 'target-malformed', reason: 'not an origin-form target' }
    if (!names(valuesOf(fields, 'host')[0], tunnel))
      return { code: 'authority-mismatch', reason: `Host is not ${tunnel.host}:${tunnel.port}` }
    const { host, port, scheme, evidence } = tunnel
    // `http://host/` names no port: the connection's own is meant, as at the forward door.
    const isDefault = port === DEFAULT_PORTS[scheme] && scheme === 'http'
    const name = { kind: 'name', host, port: isDefault ? undefined : port, isSecure: scheme === 'https' } as const
    return { ...parts, target: name, evidence }
  },
}

/** HTTP/1.0 may do without Host. @see RFC 9110 section 7.4 */
function names(value: string | undefined, { host, port, scheme }: Tunnel): boolean {
  if (value === undefined) return true
  const authority = parseAuthority(value)
  return authority?.host === host && (authority.port ?? DEFAULT_PORTS[scheme]) === port
}
