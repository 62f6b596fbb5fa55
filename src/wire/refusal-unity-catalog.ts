import type { Problem, ProblemCode } from '../core/problem.ts'

/** Methods of a Unity Catalog connection. */
export const FACE_METHODS: readonly string[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']

/** What Databricks calls errors of a status; its SDKs choose the class of an error by these. */
const ERROR_CODES: Readonly<Record<number, string>> = {
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'ENDPOINT_NOT_FOUND',
  429: 'REQUEST_LIMIT_EXCEEDED',
  501: 'NOT_IMPLEMENTED',
  503: 'TEMPORARILY_UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
}

/** Where Unity Catalog would say that there is no USE CONNECTION, which clients look for by a pattern. */
const UNGRANTED: ReadonlySet<ProblemCode> = new Set(['grant-missing', 'grant-expired'])

/**
 * A refusal in the envelope of Databricks: `details` carry our own stable code, and the id of the audit entry, in the form
 * that its SDKs read.
 */
export function unityCatalogBody(problem: Problem, id: string, status: number): object {
  return {
    error_code: ERROR_CODES[status] ?? (status < 500 ? 'INVALID_PARAMETER_VALUE' : 'INTERNAL_ERROR'),
    message: messageOf(problem),
    details: [
      {
        '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
        reason: problem.code,
        domain: 'sallyport',
        metadata: { instance: `urn:uuid:${id}` },
      },
    ],
  }
}

/** A detail of its own is told as it is: clients look for an address to log in at, too. */
function messageOf({ code, row, called, detail }: Problem): string {
  if (detail !== undefined) return detail
  if (UNGRANTED.has(code) && called !== undefined) return `User does not have USE CONNECTION on Connection '${called}'.`
  return `${row.title}. ${row.remedy}`
}
