import type { Problem, ProblemCode } from '../core/problem.ts'
import { problems } from '../core/problems.ts'
import { FACE_METHODS, unityCatalogBody } from './refusal-unity-catalog.ts'

/** A refusal as bytes: what goes into the head, and the body. */
export interface RefusalMessage {
  readonly status: number
  readonly fields: readonly string[]
  readonly body: string
}

/**
 * How a door refuses, and asks for a proof. `proxy`: 407 and Proxy-Authenticate. `origin`: 401 and WWW-Authenticate.
 * `unity-catalog`: as an origin, in the words that clients of Databricks look for.
 */
export type Challenge = 'proxy' | 'origin' | 'unity-catalog'

/**
 * A refusal on the wire: RFC 9457 problem+json, and Proxy-Status (RFC 9209), by which a caller tells our answer from the
 * upstream's. `instance` is the id under which the audit has the rest; nothing of the request is repeated.
 */
export function refusalMessage(problem: Problem, id: string, challenge: Challenge): RefusalMessage {
  const { proxyError } = problem.row
  const status = statusOf(problem, challenge)
  const isOfFace = challenge === 'unity-catalog'
  const content = isOfFace ? unityCatalogBody(problem, id, status) : problemBody(problem, id, status)
  const body = `${JSON.stringify(content)}\n`
  const fields = [
    'Content-Type',
    isOfFace ? 'application/json' : 'application/problem+json',
    'Content-Length',
    String(Buffer.byteLength(body)),
    'Cache-Control',
    'no-store',
    'Proxy-Status',
    `sallyport; error=${proxyError}; details="${problem.code}"`,
    ...challengeFields(problem, challenge),
  ]
  if (problem.retryAfter !== undefined) fields.push('Retry-After', String(Math.max(1, Math.ceil(problem.retryAfter))))
  if (status === 405) fields.push('Allow', isOfFace ? FACE_METHODS.join(', ') : METHODS)
  return { status, fields, body }
}

const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'

/** @see RFC 9457 section 3.1 */
function problemBody({ code, row, detail = row.remedy }: Problem, id: string, status: number): object {
  const { title } = row
  return { type: `urn:sallyport:problem:${code}`, title, status, detail, code, instance: `urn:uuid:${id}` }
}

/** The same as one HTTP/1.1 message that ends the connection, for where there is only a socket left. */
export function refusalBytes(problem: Problem, id: string, challenge: Challenge): string {
  const { status, fields, body } = refusalMessage(problem, id, challenge)
  const lines = [`HTTP/1.1 ${status} ${problems[problem.code].title}`]
  for (let at = 0; at < fields.length; at += 2) lines.push(`${fields[at]}: ${fields[at + 1]}`)
  return `${lines.join('\r\n')}\r\nConnection: close\r\n\r\n${body}`
}

/** At an origin-style door there is no proxy to authenticate to. */
function statusOf(problem: Problem, challenge: Challenge): number {
  return ASKS_FOR_PROOF.has(problem.code) && challenge !== 'proxy' ? 401 : problem.row.status
}

/** Another proof would do, so it is asked for. */
const ASKS_FOR_PROOF: ReadonlySet<ProblemCode> = new Set(['caller-unknown', 'token-rejected', 'certificate-unknown'])

const REALM = 'realm="sallyport", charset="UTF-8"'

/** Basic at a proxy, because nearly no client can answer a Bearer challenge there; elsewhere too, because git answers no other. */
function challengeFields({ code }: Problem, challenge: Challenge): string[] {
  if (!ASKS_FOR_PROOF.has(code)) return []
  if (challenge === 'proxy') return ['Proxy-Authenticate', `Basic ${REALM}`]
  return ['WWW-Authenticate', 'Bearer realm="sallyport"', 'WWW-Authenticate', `Basic ${REALM}`]
}
