import type { ProblemRow } from './problem-row.ts'
import { type ProblemCode, problems } from './problems.ts'

export type { ProblemCode } from './problems.ts'

interface Circumstances {
  /** Why, in words, for the audit and the log; never sent to the caller. Holds no secret. */
  readonly reason?: string
  /** What the caller is to do, where that is more exact than the remedy of the row. Holds no secret, and no text of an issuer. */
  readonly detail?: string | undefined
  readonly cause?: unknown
  /** Seconds, for the Retry-After field. */
  readonly retryAfter?: number
  /** The connection that it is about, as the caller called it, where the answer may repeat that. */
  readonly called?: string | undefined
}

/**
 * The one error of the house. Test for it by its stable code: `error instanceof Problem && error.code === 'grant-expired'`.
 * The message is for people and may change.
 */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly code: ProblemCode
  readonly reason: string
  readonly detail: string | undefined
  readonly retryAfter: number | undefined
  readonly called: string | undefined

  constructor(code: ProblemCode, { reason, detail, cause, retryAfter, called }: Circumstances = {}) {
    super(`${code}: ${reason ?? problems[code].title}`, cause === undefined ? undefined : { cause })
    this.code = code
    this.reason = reason ?? problems[code].title
    this.detail = detail
    this.retryAfter = retryAfter
    this.called = called
  }

  get row(): ProblemRow {
    return problems[this.code]
  }

  /** Whatever was thrown, as a Problem: what nobody foresaw is ours to answer for, and closes. */
  static from(error: unknown): Problem {
    if (error instanceof Problem) return error
    return new Problem('internal-error', { reason: 'an error nobody foresaw', cause: error })
  }
}
