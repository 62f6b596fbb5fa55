import { expect } from 'vitest'
import type { ProblemCode } from '../../src/core/problems.ts'

const CHALLENGE = /^Proxy-Authenticate: Basic realm="sallyport", charset="UTF-8"\r$/m

/** The fields that these codes alone come with. */
export const OWN_FIELDS: Partial<Record<ProblemCode, RegExp>> = {
  'caller-unknown': CHALLENGE,
  'token-rejected': CHALLENGE,
  'certificate-unknown': CHALLENGE,
  'proof-unverifiable': /^Retry-After: 5\r$/m,
  'too-many-failures': /^Retry-After: 1\r$/m,
  'method-not-allowed': /^Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r$/m,
  'too-many-requests': /^Retry-After: 1\r$/m,
  'audit-full': /^Retry-After: 1\r$/m,
  'credential-unavailable': /^Retry-After: [5-7]\r$/m,
}

/** What the caller is to do, where that is more exact than the remedy of the row. */
export const OWN_DETAILS: Partial<Record<ProblemCode, unknown>> = {
  'login-required': expect.stringMatching(
    /^Credential for user identity\('checkout'\) is not found for the connection 'crm'\. Please login first to the connection by visiting http:\/\/127\.0\.0\.1:\d+\/login\/crm\?ticket=\S+$/,
  ),
}
