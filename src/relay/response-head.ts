import { Problem } from '../core/problem.ts'
import { endToEnd, valuesOf } from '../wire/fields.ts'

/**
 * Fields of an upstream that are not for our callers: Proxy-Status is how they tell our answers from the upstream's, and
 * Alt-Svc would send them past us.
 */
const NOT_RELAYED = new Set(['proxy-status', 'alt-svc'])

const CHALLENGE = new Set(['www-authenticate', 'dpop-nonce'])

/**
 * The head of an answer as it goes to the caller: end-to-end fields alone, framed anew.
 * `challenge`: keep WWW-Authenticate and DPoP-Nonce. Where we injected, the caller can answer no challenge, and an agent
 * that tries starts an OAuth flow of its own.
 * @throws Problem `upstream-malformed` when the end of the message could be read in more than one way
 */
export function relayedFields(fields: readonly string[], { challenge }: { readonly challenge: boolean }): string[] {
  judgeFraming(fields)
  return endToEnd(fields, (key) => NOT_RELAYED.has(key) || (!challenge && CHALLENGE.has(key)))
}

/**
 * Fields that only a head may carry: they frame, route, authenticate or say what the body is, and a caller that merged
 * them would let the upstream set them after we judged the head. @see RFC 9110 section 6.5.1
 */
const NOT_TRAILERS = new Set([
  'host',
  'content-length',
  'content-encoding',
  'content-type',
  'content-range',
  'content-location',
  'authorization',
  'www-authenticate',
  'authentication-info',
  'set-cookie',
  'cookie',
  'cache-control',
  'expires',
  'date',
  'age',
  'vary',
  'pragma',
  'warning',
  'location',
  'retry-after',
  'expect',
  'range',
  'max-forwards',
  'strict-transport-security',
])

/** The trailers of an answer as they go to the caller. */
export function relayedTrailers(fields: readonly string[]): string[] {
  return endToEnd(fields, (key) => NOT_RELAYED.has(key) || NOT_TRAILERS.has(key) || PSEUDO.test(key))
}

const PSEUDO = /^:/

/** @see RFC 9112 section 6.3 */
function judgeFraming(fields: readonly string[]): void {
  const lengths = valuesOf(fields, 'content-length')
  const codings = valuesOf(fields, 'transfer-encoding')
  if (codings.length > 0 && lengths.length > 0) throw malformed('both Content-Length and Transfer-Encoding')
  if (codings.length > 1 || (codings[0] ?? 'chunked').toLowerCase() !== 'chunked')
    throw malformed('an odd Transfer-Encoding')
  if (lengths.length > 1 || !/^[0-9]+$/.test(lengths[0] ?? '0')) throw malformed('an odd Content-Length')
}

function malformed(reason: string): Problem {
  return new Problem('upstream-malformed', { reason: `the upstream sent ${reason}` })
}
