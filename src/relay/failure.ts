import { Problem, type ProblemCode } from '../core/problem.ts'

const CODES: Readonly<Record<string, ProblemCode>> = {
  UND_ERR_HEADERS_TIMEOUT: 'upstream-timeout',
  UND_ERR_BODY_TIMEOUT: 'upstream-timeout',
  UND_ERR_CONNECT_TIMEOUT: 'upstream-timeout',
  UND_ERR_HEADERS_OVERFLOW: 'upstream-malformed',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'upstream-malformed',
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: 'request-malformed',
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

/** The upstream closed a connection without a single byte of an answer: it may have been closing an idle one. */
export function isSilentClose(error: unknown): boolean {
  return ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(codeOf(error)) && !messageOf(error).startsWith('bad ')
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
