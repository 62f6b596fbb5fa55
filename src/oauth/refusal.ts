import { Problem } from '../core/problem.ts'

/** It may have been done or not: the request left, and nothing came back that could be read. */
export class OutcomeUnseen extends Problem {}

/** The cause of a Problem: what the client is to prove itself with cannot be shown as it stands here, and nobody was asked. */
export class UnfitProof extends Error {
  override readonly name = 'UnfitProof'
}

/** A `credential-failed` that lasts until somebody changes that. `reason`: what is unfit, then a colon and what to do. */
export function unfitProof(reason: string): Problem {
  return new Problem('credential-failed', { reason, cause: new UnfitProof(reason) })
}

/** An authorization server that has understood what it was asked, and said no. */
export class IssuerRefusal extends Problem {
  /** The registered error code of its answer; '' where there was none that is registered. */
  readonly error: string
  /** Its `error_codes`, by which Entra says more. */
  readonly codes: readonly number[]

  /** What it answered, without what to change. */
  readonly answered: string

  /** With `retryAfter` (seconds) it may be worth another try; without it, asking again ends the same way. */
  constructor(error: string, { reason: answered, remedy, retryAfter, codes = [] }: Circumstances) {
    const reason = remedy === undefined ? answered : `${answered}: ${remedy}`
    super('credential-failed', { reason, ...(retryAfter !== undefined && { retryAfter }) })
    this.error = error
    this.codes = codes
    this.answered = answered
  }
}

interface Circumstances {
  readonly reason: string
  /** What an operator is to change, in words of our own. */
  readonly remedy?: string | undefined
  readonly retryAfter?: number | undefined
  readonly codes?: readonly number[]
}

/** The same refusal with what to change, where the caller of the endpoint knows that better; any other error as it is. */
export function advised(error: unknown, codes: readonly string[], remedy: string): unknown {
  if (!(error instanceof IssuerRefusal) || !codes.includes(error.error)) return error
  const { answered: reason, retryAfter } = error
  return new IssuerRefusal(error.error, { reason, remedy, retryAfter, codes: error.codes })
}
