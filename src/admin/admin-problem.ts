import { type AdminProblemCode, type AdminProblemRow, adminProblems } from './admin-problems.ts'

/** One thing that is wrong with a request. */
export interface InputFault {
  /** Where, as a fragment of RFC 6901: `#/rules/0/paths/0`; the name of a parameter for what is not in the body. */
  readonly pointer: string
  /** What is wrong, with the form to use. Never repeats the value. */
  readonly detail: string
}

interface Circumstances {
  /** What to do, where that is more exact than the remedy of the row. Holds no secret. */
  readonly detail?: string
  readonly errors?: readonly InputFault[]
  /** Seconds, for the Retry-After field. */
  readonly retryAfter?: number
  readonly cause?: unknown
}

/** The one error of the admin door. Test for it by its stable code. */
export class AdminProblem extends Error {
  override readonly name = 'AdminProblem'
  readonly code: AdminProblemCode
  readonly detail: string
  readonly errors: readonly InputFault[] | undefined
  readonly retryAfter: number | undefined

  constructor(code: AdminProblemCode, { detail, errors, retryAfter, cause }: Circumstances = {}) {
    super(code, cause === undefined ? undefined : { cause })
    this.code = code
    this.detail = detail ?? adminProblems[code].remedy
    this.errors = errors
    this.retryAfter = retryAfter
  }

  get row(): AdminProblemRow {
    return adminProblems[this.code]
  }
}

/** What is not right in a request: one line a field, and all of them at once. */
export function inputInvalid(errors: readonly InputFault[]): AdminProblem {
  return new AdminProblem('input-invalid', {
    errors,
    detail: errors.map(({ pointer, detail }) => `${pointer}: ${detail}`).join('; '),
  })
}

/** The same for one field of the body. */
export function fieldInvalid(field: string, detail: string): AdminProblem {
  return inputInvalid([{ pointer: `#/${field}`, detail }])
}
