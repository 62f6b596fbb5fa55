import type { Caller } from '../core/ask.ts'
import { explain } from '../core/explain.ts'
import type { Policy } from '../core/policy.ts'
import type { ProblemCode } from '../core/problem.ts'
import { problems } from '../core/problems.ts'
import { parseAbsoluteForm } from '../wire/authority.ts'

/** A URL that somebody would like to know the decision of. */
export interface Supposition {
  readonly caller: Caller
  /** Scopes of its token cap this caller, and it was not said which it has: here nothing caps it. */
  readonly lacksScopes?: boolean
  /** `CONNECT` too: it is asked for the host and the port of the URL. */
  readonly method: string
  readonly url: string
  /** ms since the epoch */
  readonly at: number
}

/** The decision, and why, as an operator is told. `code` and `remedy` where it is a refusal. */
export interface Told {
  readonly decision: 'permit' | 'refuse'
  /** For https:// clients ask for a tunnel first: whether we read what comes through it, or pass it on unread. */
  readonly tunnel?: 'opened' | 'unopened'
  readonly reason: string
  readonly code?: ProblemCode
  readonly connection?: string
  readonly grant?: string
  /** Report mode lets it through: the code by which it would have been refused. */
  readonly wouldRefuse?: ProblemCode
  readonly remedy?: string
  readonly lacksScopes?: true
}

/** The very decisions that a door would make; nothing is sent anywhere. Undefined: the URL is none that a door takes. */
export function tellWhy({ caller, lacksScopes, method, url, at }: Supposition, policy: Policy): Told | undefined {
  const target = parseAbsoluteForm(url)
  if (!target) return undefined
  const scheme = /^https:/i.test(url) ? 'https' : 'http'
  const { decision, tunnel } = explain({ ...target, caller, method, scheme, at }, policy)
  const { connection, grant, reason } = decision
  const wouldRefuse = decision.permitted ? decision.wouldRefuse?.code : undefined
  const said = decision.permitted ? wouldRefuse : decision.code
  return {
    decision: decision.permitted ? 'permit' : 'refuse',
    ...(tunnel && { tunnel }),
    reason,
    ...(!decision.permitted && { code: decision.code }),
    ...(connection !== undefined && { connection }),
    ...(grant !== undefined && { grant }),
    ...(wouldRefuse && { wouldRefuse }),
    ...(said && { remedy: problems[said].remedy }),
    ...(lacksScopes && { lacksScopes }),
  }
}
