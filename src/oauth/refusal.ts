import { Problem } from '../core/problem.ts'

/** An authorization server that has understood what it was asked, and said no. */
export class IssuerRefusal extends Problem {
  /** The registered error code of its answer; '' where there was none that is registered. */
  readonly error: string

  /** With `retryAfter` (seconds) it may be worth another try; without it, asking again ends the same way. */
  constructor(error: string, circumstances: { readonly reason: string; readonly retryAfter?: number }) {
    super('credential-failed', circumstances)
    this.error = error
  }
}
