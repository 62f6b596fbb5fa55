import type { Entry } from '../audit/entry.ts'
import type { Ask } from '../core/ask.ts'
import type { Permit } from '../core/decide.ts'
import type { Waiver } from '../core/waiver.ts'
import type { Attributes } from '../otlp/attributes.ts'
import type { Connection } from './snapshot.ts'

/** What a try upstream sends, and where. */
export interface Sending {
  readonly ask: Ask
  readonly permit: Permit | Waiver
  readonly connection: Connection
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'CONNECT', 'TRACE'])

/** A span is named by what it does and not to whom: there are few of them. */
export function spanName(method: string): string {
  return METHODS.has(method) ? method : 'HTTP'
}

/** A method of the caller's own making has no place among the values of an attribute. */
export function methodAttributes(method: string): Attributes {
  return { 'http.request.method': METHODS.has(method) ? method : '_OTHER' }
}

/**
 * Of what a caller asked of us: from the record, which holds no secret and no query.
 * @see https://opentelemetry.io/docs/specs/semconv/http/http-spans/
 */
export function serverAttributes(entry: Entry, { target, evidence }: Partial<Ask>, hasPaths: boolean): Attributes {
  const { status, code } = entry
  return {
    'url.scheme': target?.kind === 'name' ? (target.isSecure ? 'https' : 'http') : undefined,
    'url.path': hasPaths ? entry.path : undefined,
    'server.address': entry.host,
    'server.port': entry.port,
    'network.peer.address': evidence?.address,
    'http.response.status_code': status,
    'error.type': code ?? (status !== undefined && status >= 500 ? String(status) : undefined),
    'sallyport.id': entry.id,
    'sallyport.door': entry.door,
    'sallyport.caller': entry.caller,
    'sallyport.connection': entry.connection,
    'sallyport.grant': entry.grant,
    'sallyport.decision': entry.decision,
    'sallyport.problem': code,
    'sallyport.would_refuse': entry.wouldRefuse,
    'sallyport.tunnel': entry.tunnel,
    'sallyport.credential': entry.credential?.fingerprint,
    'sallyport.ended': entry.ended,
    'sallyport.bytes_in': entry.bytesIn,
    'sallyport.bytes_out': entry.bytesOut,
  }
}

interface Sent extends Sending {
  readonly hasPaths: boolean
  /** Tries before this one. */
  readonly resends: number
}

/**
 * Of one try upstream. The address is made of what was judged, not of what is sent: what is injected into a query, or comes
 * in one, is in no span.
 */
export function clientAttributes({ ask, permit, connection, hasPaths, resends }: Sent): Attributes {
  const { upstream, name } = connection
  const origin = upstream.origin(permit.host, permit.port)
  const { port } = upstream.destination(permit.host, permit.port)
  return {
    'url.full': `${origin}${hasPaths ? permit.path : '/REDACTED'}${ask.query === '' ? '' : '?REDACTED'}`,
    'server.address': permit.host,
    'server.port': port,
    'http.request.resend_count': resends === 0 ? undefined : resends,
    'sallyport.connection': name === '' ? undefined : name,
  }
}
