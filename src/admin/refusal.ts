import type { AdminProblem } from './admin-problem.ts'

/** RFC 9457, in the form of the data doors; `instance` is the id under which audit and log have the rest. */
export function refusalResponse(problem: AdminProblem, id: string, headers: Readonly<Record<string, string>> = {}) {
  const { title, status } = problem.row
  const body = {
    type: `urn:sallyport:problem:${problem.code}`,
    title,
    status,
    detail: problem.detail,
    code: problem.code,
    instance: `urn:uuid:${id}`,
    ...(problem.errors && { errors: problem.errors }),
  }
  return new Response(`${JSON.stringify(body)}\n`, {
    status,
    headers: {
      ...PROTECTIONS,
      'Content-Type': 'application/problem+json',
      ...(status === 401 && { 'WWW-Authenticate': 'Bearer realm="sallyport admin"' }),
      ...(problem.retryAfter !== undefined && { 'Retry-After': String(Math.max(1, Math.ceil(problem.retryAfter))) }),
      // What is left of the body is not read.
      ...(status === 413 && { Connection: 'close' }),
      ...headers,
    },
  })
}

/** On every answer below /v1: nothing of it is to be kept, sniffed, framed, or read by a page of another origin. */
export const PROTECTIONS = {
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
} as const
