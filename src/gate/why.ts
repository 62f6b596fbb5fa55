import type { Caller } from '../core/ask.ts'
import type { Policy } from '../core/decide.ts'
import { explain } from '../core/explain.ts'
import type { ProblemCode } from '../core/problem.ts'
import { problems } from '../core/problems.ts'
import { parseAbsoluteForm } from '../wire/authority.ts'

/** A URL that somebody would like to know the decision of. */
export interface Supposition {
  readonly caller: Caller
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
  readonly remedy?: string
}

/** The very decisions that a door would make; nothing is sent anywhere. Undefined: the URL is none that a door takes. */
export function tellWhy({ caller, method, url, at }: Supposition, policy: Policy): Told | undefined {
  const target = parseAbsoluteForm(url)
  if (!target) return undefined
  const scheme = /^https:/i.test(url) ? 'https' : 'http'
  const { decision, tunnel } = explain({ ...target, caller, method, scheme, at }, policy)
  const { connection, grant, reason } = decision
  return {
    decision: decision.permitted ? 'permit' : 'refuse',
    ...(tunnel && { tunnel }),
    reason,
    ...(!decision.permitted && { code: decision.code }),
    ...(connection !== undefined && { connection }),
    ...(grant !== undefined && { grant }),
    ...(!decision.permitted && { remedy: problems[decision.code].remedy }),
  }
}
