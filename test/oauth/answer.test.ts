import { expect, test } from 'vitest'
import { Problem } from '../../src/core/problem.ts'
import { isLasting } from '../../src/credentials/mint.ts'
import { parseRetryAfter, readTokenAnswer } from '../../src/oauth/answer.ts'
import type { IssuerAnswer } from '../../src/oauth/exchange.ts'

const NOW = Date.UTC(2026, 10, 22)
const good = { access_token: 'at-1', token_type: 'Bearer', expires_in: 3600 }

function answer(body: unknown, rest: Partial<IssuerAnswer> = {}): IssuerAnswer {
  return { status: 200, retryAfter: undefined, body: typeof body === 'string' ? body : JSON.stringify(body), ...rest }
}

function read(it: IssuerAnswer) {
  return readTokenAnswer(it, { host: 'login.test', now: NOW, types: ['bearer'] })
}

function problemOf(it: IssuerAnswer): Problem {
  try {
    read(it)
  } catch (error) {
    if (error instanceof Problem) return error
  }
  throw new Error('it was no problem')
}

test('takes what RFC 6749 section 5.1 lists, and nothing else', () => {
  const body = { ...good, scope: 'a b', refresh_token: 'rt', id_token: 'idt', example: [1] }
  expect(read(answer(body))).toEqual({
    access_token: 'at-1',
    token_type: 'bearer',
    expires_in: 3600,
    scope: 'a b',
    refresh_token: 'rt',
  })
})

test.each(['Bearer', 'bearer', 'BEARER'])('J03: takes the token type %s', (type) => {
  expect(read(answer({ ...good, token_type: type })).token_type).toBe('bearer')
})

test.each([undefined, null, '', 'mac', 'DPoP', 'N_A', 7])('J03: refuses the token type %s', (type) => {
  expect(problemOf(answer({ ...good, token_type: type })).code).toBe('credential-failed')
})

test.each([
  [3600, 3600],
  ['3600', 3600],
  ['3600s', 3600],
  [3600.5, 3600.5],
  [0, 0],
  [-1, 0],
  [1e12, 1e9],
])('J05: reads expires_in %j as %d s', (given, seconds) => {
  expect(read(answer({ ...good, expires_in: given })).expires_in).toBe(seconds)
})

test('J05: an expires_in beyond all numbers is a very long one', () => {
  expect(read(answer('{"access_token":"a","token_type":"bearer","expires_in":1e400}')).expires_in).toBe(1e9)
})

test.each([undefined, null, ''])('J04: expires_in %j is none', (given) => {
  expect(read(answer({ ...good, expires_in: given }))).not.toHaveProperty('expires_in')
})

test.each(['soon', true, [], {}])('J05: refuses the expires_in %j', (given) => {
  expect(problemOf(answer({ ...good, expires_in: given })).code).toBe('credential-failed')
})

test('J20: leaves out an empty scope', () => {
  expect(read(answer({ ...good, scope: null }))).not.toHaveProperty('scope')
})

test.each([undefined, null, '', 7, { a: 1 }, 'a\r\nX: y', 'a\0', 'é', 'a\u2028'])(
  'J21: refuses the access token %j',
  (given) => {
    const problem = problemOf(answer({ ...good, access_token: given }))
    expect(problem).toMatchObject({ code: 'credential-failed', retryAfter: 1 })
  },
)

test.each(['', '<html>at-1</html>', '{"access_token":"at-1"', '\uFEFF{}', 'null', '[]', '"x"', '['.repeat(10_000)])(
  'J01: refuses %.30j, to be tried again soon',
  (body) => {
    const problem = problemOf(answer(body))
    expect(problem).toMatchObject({ code: 'credential-failed', retryAfter: 1 })
    expect(problem.reason).not.toContain('at-1')
  },
)

test('takes a 201', () => {
  expect(read(answer(good, { status: 201 })).access_token).toBe('at-1')
})

test.each([204, 206, 226])('refuses a %i', (status) => {
  expect(problemOf(answer(good, { status })).code).toBe('credential-failed')
})

test.each([
  'access_denied',
  'invalid_client',
  'invalid_grant',
  'invalid_request',
  'invalid_scope',
  'invalid_target',
  'unauthorized_client',
  'unsupported_grant_type',
])('J07: %s lasts, and is named in the reason', (error) => {
  const problem = problemOf(answer({ error, error_description: 'SECRET' }, { status: 400 }))
  expect(isLasting(problem)).toBe(true)
  const remedy = error === 'invalid_grant' ? '$' : ': (?:compare|allow|a policy|it has)'
  expect(problem.reason).toMatch(new RegExp(`^login.test answered 400 ${error}${remedy}`))
})

test('J07: a 401 lasts, whatever its body says', () => {
  expect(isLasting(problemOf(answer('<html>', { status: 401 })))).toBe(true)
})

test('an unknown error code is not repeated, and may be tried again soon', () => {
  const problem = problemOf(answer({ error: 'your token is at-1' }, { status: 400 }))
  expect(problem).toMatchObject({ code: 'credential-failed', reason: 'login.test answered 400', retryAfter: 1 })
})

test('a 200 that is an error is an error', () => {
  const problem = problemOf(answer({ ...good, error: 'invalid_client' }))
  expect(isLasting(problem)).toBe(true)
})

test.each([
  ['bad_verification_code', 'invalid_grant'],
  ['bad_refresh_token', 'invalid_grant'],
  ['incorrect_client_credentials', 'invalid_client'],
  ['code_already_used', 'invalid_grant'],
  ['invalid_code', 'invalid_grant'],
  ['invalid_refresh_token', 'invalid_grant'],
  ['bad_client_secret', 'invalid_client'],
  ['invalid_client_id', 'invalid_client'],
])('%s, as GitHub and Slack put it with a 200, is %s', (theirs, code) => {
  const problem = problemOf(answer({ ok: false, error: theirs, error_description: 'SECRET' }))
  expect(problem).toMatchObject({ error: code, answered: `login.test answered 200 ${code}` })
  expect(isLasting(problem)).toBe(true)
})

test('J13: a redirect lasts', () => {
  for (const status of [301, 302, 307, 308]) expect(isLasting(problemOf(answer('', { status })))).toBe(true)
})

test.each([408, 429, 500, 502, 503, 504])('J08: %i may pass', (status) => {
  const problem = problemOf(answer('<html>', { status, retryAfter: '30' }))
  expect(problem).toMatchObject({ code: 'credential-unavailable', retryAfter: 30 })
})

test.each(['temporarily_unavailable', 'slow_down', 'server_error'])('%s may pass', (error) => {
  expect(problemOf(answer({ error }, { status: 400 })).code).toBe('credential-unavailable')
})

test.each([
  ['30', 30_000],
  ['0', 0],
  [new Date(NOW + 45_000).toUTCString(), 45_000],
  [new Date(NOW - 45_000).toUTCString(), 0],
  ['1000000000', 600_000],
  ['Fri, 31 Dec 9999 23:59:59 GMT', 600_000],
  ['soon', undefined],
  ['', undefined],
  [undefined, undefined],
])('J08: Retry-After %j means %j ms', (text, ms) => {
  expect(parseRetryAfter(text, NOW)).toBe(ms)
})
