import { Problem, type ProblemCode } from '../core/problem.ts'

const CODES: Readonly<Record<string, ProblemCode>> = {
  UND_ERR_HEADERS_TIMEOUT: 'upstream-timeout',
  UND_ERR_BODY_TIMEOUT: 'upstream-timeout',
  UND_ERR_CONNECT_TIMEOUT: 'upstream-timeout',
  UND_ERR_HEADERS_OVERFLOW: 'upstream-malformed',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'upstream-malformed',
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: 'request-malformed',
  // Ours, of what does not keep to the protocol; a peer that says it of us cannot be told apart.
  HTTP2_PROTOCOL_ERROR: 'upstream-malformed',
}

/** What went wrong between us and the upstream, as a Problem. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error
  const code = codeOf(error)
  // undici 8 names its parser's errors, and leaves their code undefined.
  if (nameOf(error) === 'HTTPParserError' || code.startsWith('HPE_'))
    return new Problem('upstream-malformed', { reason: 'the upstream sent what is not HTTP', cause: error })
  // undici says "bad response" and "bad upgrade" of bytes that answer no request, by a SocketError alone.
  if (/^bad (?:response|upgrade)$/.test(messageOf(error))) {
    return new Problem('upstream-malformed', { reason: 'the upstream sent what nobody asked for', cause: error })
  }
  return new Problem(CODES[code] ?? 'upstream-unreachable', {
    reason: `the upstream failed: ${code || 'no code'}`,
    cause: error,
  })
}

/** How an HTTP/2 stream ended early: with its whole connection, or by a reset of its own. @see RFC 9113 section 7 */
export function failureOfStream(rstCode: number | undefined, isCut: boolean, error?: Error): Error {
  if (error && codeOf(error) !== 'ERR_HTTP2_STREAM_ERROR') return error
  const code = isCut ? 'ECONNRESET' : `HTTP2_${RESETS[rstCode ?? 0] ?? 'RESET'}`
  return Object.assign(new Error('the stream ended before the answer did'), { code })
}

const RESETS: Readonly<Record<number, string>> = {
  0: 'NO_ERROR',
  1: 'PROTOCOL_ERROR',
  2: 'INTERNAL_ERROR',
  3: 'FLOW_CONTROL_ERROR',
  7: 'REFUSED_STREAM',
  8: 'CANCEL',
  11: 'ENHANCE_YOUR_CALM',
  13: 'HTTP_1_1_REQUIRED',
}

/**
 * The upstream closed a connection without a single byte of an answer: it may have been closing an idle one. A refused
 * stream was not looked at, and so are those that a GOAWAY does not name. @see RFC 9113 section 8.7
 */
export function isSilentClose(error: unknown): boolean {
  return (
    ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE', 'HTTP2_REFUSED_STREAM'].includes(codeOf(error)) &&
    !messageOf(error).startsWith('bad ')
  )
}

function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : ''
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : ''
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : ''
}
