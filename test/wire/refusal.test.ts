import { expect, test } from 'vitest'
import { Problem } from '../../src/core/problem.ts'
import { refusalMessage } from '../../src/wire/refusal.ts'

const ID = '0199c6e0-7c11-7d3e-9d27-5d2a4f0f8a11'
const LOGIN = 'Please login first to the connection by visiting http://127.0.0.1:15090/login/crm'

function told(problem: Problem, face: 'origin' | 'unity-catalog') {
  const { body, ...head } = refusalMessage(problem, ID, face)
  return { ...head, json: JSON.parse(body) }
}

test('a detail of its own stands in the place of the remedy, in either envelope', () => {
  const problem = new Problem('grant-missing', { detail: LOGIN, called: 'crm' })
  expect(told(problem, 'origin').json).toMatchObject({ detail: LOGIN, code: 'grant-missing' })
  expect(told(problem, 'unity-catalog').json).toMatchObject({ message: LOGIN, error_code: 'PERMISSION_DENIED' })
})

test.each([
  ['caller-unknown', 401, 'UNAUTHENTICATED'],
  ['token-rejected', 401, 'UNAUTHENTICATED'],
  ['scope-insufficient', 403, 'PERMISSION_DENIED'],
  ['endpoint-unknown', 404, 'ENDPOINT_NOT_FOUND'],
  ['body-too-large', 413, 'INVALID_PARAMETER_VALUE'],
  ['too-many-requests', 429, 'REQUEST_LIMIT_EXCEEDED'],
  ['internal-error', 500, 'INTERNAL_ERROR'],
  ['credential-failed', 502, 'INTERNAL_ERROR'],
  ['credential-unavailable', 503, 'TEMPORARILY_UNAVAILABLE'],
  ['upstream-timeout', 504, 'DEADLINE_EXCEEDED'],
] as const)('at the face of Unity Catalog %s is %i %s', (code, status, error_code) => {
  const message = told(new Problem(code, { reason: 'not for the caller', retryAfter: 3 }), 'unity-catalog')
  expect(message.status).toBe(status)
  expect(message.json).toMatchObject({
    error_code,
    details: [{ reason: code, metadata: { instance: `urn:uuid:${ID}` } }],
  })
  expect(message.fields).toContain('Retry-After')
  expect(JSON.stringify(message)).not.toContain('not for the caller')
})
