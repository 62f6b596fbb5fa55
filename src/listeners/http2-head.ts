import { type Fault, type Framing, judgeHead } from '../wire/framing.ts'
import type { HeadOnWire } from './intake.ts'

/** The head of a stream: as HTTP/1 would have it, so that everything behind the door judges one kind of head. */
export interface StreamHead extends HeadOnWire {
  readonly framing: Framing
  readonly fault: Fault | undefined
}

interface Circumstances {
  /** Of the connection that the stream is on. */
  readonly scheme: string
  /** The head ended the stream: no body comes. */
  readonly endsStream: boolean
}

/**
 * Reads names and values as they stood on the wire. nghttp2 resets most malformed streams before anyone hears of them;
 * what is refused here too must hold whatever it lets through. @see RFC 9113 section 8.3
 */
export function readStreamHead(raw: readonly string[], { scheme, endsStream }: Circumstances): StreamHead {
  const { pseudo, fields, isOrdered } = split(raw)
  const method = valueOf(pseudo, ':method')
  const target = valueOf(pseudo, ':path')
  const authority = valueOf(pseudo, ':authority')
  const head = { method: method ?? '', target: target ?? '', fields: asHttp1(authority ?? '', fields) }
  const wrong =
    !isOrdered || pseudo.length !== PSEUDO_FIELDS * 2 || target === undefined || valueOf(pseudo, ':scheme') !== scheme
      ? 'not one each of :method, :scheme, :authority and :path, and those alone'
      : faultOfFields(fields, authority)
  if (wrong !== undefined) return { ...head, framing: NO_BODY, fault: malformed(wrong) }
  if (method === 'CONNECT') return { ...head, framing: NO_BODY, fault: malformed('CONNECT within a tunnel') }
  const framing = judgeHead({ fields: head.fields, httpVersion: '1.1' })
  if ('code' in framing) return { ...head, framing: NO_BODY, fault: framing }
  return { ...head, framing: framingOf(framing, endsStream), fault: undefined }
}

const PSEUDO_FIELDS = 4
const NO_BODY: Framing = { body: 'none' }

function split(raw: readonly string[]) {
  const pseudo: string[] = []
  const fields: string[] = []
  let isOrdered = true
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? ''
    const isPseudo = name.startsWith(':')
    if (isPseudo && fields.length > 0) isOrdered = false
    ;(isPseudo ? pseudo : fields).push(name, raw[at + 1] ?? '')
  }
  return { pseudo, fields, isOrdered }
}

/** Undefined unless there is exactly one. */
function valueOf(pseudo: readonly string[], name: string): string | undefined {
  const at = pseudo.indexOf(name)
  return at !== -1 && pseudo.indexOf(name, at + 2) === -1 ? pseudo[at + 1] : undefined
}

/** @see RFC 9113 section 8.2.2 */
const CONNECTION_SPECIFIC = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

function faultOfFields(fields: readonly string[], authority: string | undefined): string | undefined {
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] ?? ''
    const value = fields[at + 1] ?? ''
    if (name !== name.toLowerCase()) return 'a field name in upper case'
    if (CONNECTION_SPECIFIC.has(name)) return 'a field of one HTTP/1 connection'
    if (name === 'te' && value !== 'trailers') return 'TE is not trailers'
    if (name === 'host' && value !== authority) return 'Host is not :authority'
  }
  return undefined
}

/** `:authority` as Host, and cookies as one. @see RFC 9113 section 8.2.3 */
function asHttp1(authority: string, fields: readonly string[]): string[] {
  const joined = ['Host', authority]
  const cookies: string[] = []
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] ?? ''
    if (name === 'cookie') cookies.push(fields[at + 1] ?? '')
    else if (name !== 'host') joined.push(name, fields[at + 1] ?? '')
  }
  if (cookies.length > 0) joined.push('cookie', cookies.join('; '))
  return joined
}

/** A length that is announced is enforced by nghttp2; without one, END_STREAM is the end. */
function framingOf(announced: Framing, endsStream: boolean): Framing {
  if (endsStream) return NO_BODY
  return announced.body === 'none' ? { body: 'chunked' } : announced
}

function malformed(reason: string): Fault {
  return { code: 'request-malformed', reason }
}
