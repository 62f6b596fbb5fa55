import { parseHost } from '../core/host.ts'

/** Host and port as one canonical value. `port` is undefined where none was written. */
export interface Authority {
  readonly host: string
  readonly port: number | undefined
}

/** The parts of an absolute-form or origin-form request target. */
export interface TargetParts {
  readonly path: string
  readonly query: string
}

const ABSOLUTE_FORM = /^(https?):\/\/([^/?]*)(.*)$/i
// Visible ASCII without "#": a fragment never goes on the wire. Backslash is a slash to some servers and not to others.
const PATH = /^\/[!"$-[\]-~]*$/
const QUERY = /^(?:\?[!"$-~]*)?$/

/** Authorities parsed lately: nearly every request names one of a few, and names it twice. Callers choose them, so few. */
const known = new Map<string, Authority>()
const KNOWN_AT_MOST = 256

/** `host`, `host:port` or `[v6]:port`, by a strict grammar; undefined: malformed. @see RFC 9110 section 4.2.3 */
export function parseAuthority(text: string): Authority | undefined {
  const before = known.get(text)
  if (before) return before
  const authority = readAuthority(text)
  if (authority) {
    if (known.size >= KNOWN_AT_MOST) known.clear()
    known.set(text, Object.freeze(authority))
  }
  return authority
}

function readAuthority(text: string): Authority | undefined {
  const [, name = '', digits] = /^(\[[^\]]*\]|[^:]*)(?::([0-9]*))?$/.exec(text) ?? []
  const host = parseHost(name)
  const port = digits === undefined ? undefined : parsePort(digits)
  return host === undefined || port === null ? undefined : { host, port }
}

/** 1 to 65535 without sign or leading zero; null: not a port. */
function parsePort(digits: string): number | null {
  return /^[1-9][0-9]{0,4}$/.test(digits) && Number(digits) <= 65535 ? Number(digits) : null
}

/**
 * `http://authority/path?query`, as a forward proxy is asked. An `https:` target is taken alike: either way the upstream is
 * verified HTTPS. Undefined: malformed. @see RFC 9112 section 3.2.2
 */
export function parseAbsoluteForm(target: string): (Authority & TargetParts) | undefined {
  const [, , name, rest] = ABSOLUTE_FORM.exec(target) ?? []
  if (name === undefined || rest === undefined) return undefined
  const authority = parseAuthority(name)
  const parts = parseOriginForm(rest.startsWith('/') ? rest : `/${rest}`)
  return authority && parts && { ...authority, ...parts }
}

/** `/path?query`. Undefined: malformed. Nothing is decoded or normalised: the bytes judged are the bytes sent. */
export function parseOriginForm(target: string): TargetParts | undefined {
  const mark = target.indexOf('?')
  const path = mark === -1 ? target : target.slice(0, mark)
  const query = mark === -1 ? '' : target.slice(mark)
  return PATH.test(path) && QUERY.test(query) ? { path, query } : undefined
}
