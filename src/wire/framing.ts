import type { Fields } from '../core/ask.ts'
import type { ProblemCode } from '../core/problem.ts'
import { parseAuthority } from './authority.ts'
import { nameKey } from './fields.ts'

/** How the body of a request is framed: none, so many bytes, or until the last chunk. */
export type Framing = { readonly body: 'none' | 'chunked' } | { readonly body: 'length'; readonly length: number }

/** What a head says that is not fit to be relayed. */
export interface Fault {
  readonly code: ProblemCode
  readonly reason: string
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
// Field values are visible ASCII, space, tab and obs-text. @see RFC 9110 section 5.5
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
const MAX_FIELDS = 200

/**
 * Judges the parts of a request head that decide where the message ends and whom it is for. Node's parser refuses most
 * smuggling by itself; this refuses what reaches user code on 26.10 nevertheless: duplicate Host, repeated
 * Content-Length of one value, codings other than chunked, `_` look-alikes of framing fields, HTTP/0.9 and 2.0.
 * @see RFC 9112 sections 3.2, 6.1 and 6.3
 */
export function judgeHead(head: { readonly fields: Fields; readonly httpVersion: string }): Framing | Fault {
  const { fields, httpVersion } = head
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return fault('version-not-supported', `HTTP/${httpVersion}`)
  if (fields.length > MAX_FIELDS * 2) return fault('head-too-large', 'too many fields')
  const seen: Seen = { host: [], length: [], coding: [] }
  for (let at = 0; at < fields.length; at += 2) {
    const wrong = note(fields[at] ?? '', fields[at + 1] ?? '', seen)
    if (wrong) return wrong
  }
  return judgeHost(seen.host, httpVersion) ?? judgeFraming(seen, httpVersion)
}

interface Seen {
  readonly host: string[]
  readonly length: string[]
  readonly coding: string[]
}

function note(name: string, value: string, seen: Seen): Fault | undefined {
  if (!TOKEN.test(name) || !VALUE.test(value))
    return fault('request-malformed', 'a header field has a byte that none may have')
  const lower = name.toLowerCase()
  if (lower === 'host') seen.host.push(value)
  else if (lower === 'content-length') seen.length.push(value)
  else if (lower === 'transfer-encoding') seen.coding.push(value)
  else if (name.includes('_') && FRAMING_NAMES.has(nameKey(name))) {
    return fault('request-malformed', 'a field name with "_" collides with one that frames the message')
  }
  return undefined
}

const FRAMING_NAMES = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'upgrade',
  'expect',
  'trailer',
])

function judgeHost(hosts: readonly string[], httpVersion: string): Fault | undefined {
  const [host] = hosts
  if (hosts.length > 1) return fault('request-malformed', 'more than one Host')
  if (host === undefined) return httpVersion === '1.0' ? undefined : fault('request-malformed', 'no Host')
  return parseAuthority(host) ? undefined : fault('request-malformed', 'Host is not a host')
}

function judgeFraming({ length, coding }: Seen, httpVersion: string): Framing | Fault {
  if (coding.length > 0) return judgeCoding(coding, length, httpVersion)
  const [digits] = length
  if (digits === undefined) return { body: 'none' }
  if (length.length > 1) return fault('request-malformed', 'more than one Content-Length')
  if (!/^(?:0|[1-9][0-9]{0,14})$/.test(digits))
    return fault('request-malformed', 'Content-Length is not a plain number')
  return { body: 'length', length: Number(digits) }
}

function judgeCoding(coding: readonly string[], length: readonly string[], httpVersion: string): Framing | Fault {
  if (length.length > 0) return fault('request-malformed', 'both Content-Length and Transfer-Encoding')
  if (httpVersion === '1.0') return fault('request-malformed', 'Transfer-Encoding in HTTP/1.0')
  if (coding.length > 1) return fault('request-malformed', 'more than one Transfer-Encoding')
  if (coding[0]?.toLowerCase() !== 'chunked')
    return fault('coding-not-implemented', 'a transfer coding other than chunked')
  return { body: 'chunked' }
}

function fault(code: ProblemCode, reason: string): Fault {
  return { code, reason }
}
