import type { Caller } from '../core/ask.ts'
import { decide, type Permit, type Policy, type Refusal } from '../core/decide.ts'
import { decidePassage, type Passage } from '../core/passage.ts'
import { type ProblemCode, problems } from '../core/problems.ts'
import type { Waiver } from '../core/waiver.ts'
import { parseAbsoluteForm } from '../wire/authority.ts'

/** Who would ask, and for what. */
export interface WhyQuestion {
  readonly caller: Caller
  /** Of HTTP, or CONNECT. */
  readonly method: string
  /** As a program is told it: `http://HOST/PATH`. */
  readonly url: string
  /** ms since the epoch */
  readonly at: number
}

/** What would be decided, and why. */
export interface Why {
  readonly decision: 'permit' | 'refuse'
  readonly reason: string
  readonly code: ProblemCode | undefined
  readonly connection: string | undefined
  readonly grant: string | undefined
  /** Report mode lets it through: the code by which it would have been refused. */
  readonly wouldRefuse: ProblemCode | undefined
  readonly remedy: string | undefined
}

/** The very decision that a door would make; nothing is sent anywhere. Undefined: not a URL that a door would take. */
export function why({ caller, method, url, at }: WhyQuestion, policy: Policy): Why | undefined {
  const parts = parseAbsoluteForm(url)
  if (!parts) return undefined
  const { host, port, path } = parts
  const isSecure = /^https:/i.test(url)
  if (method === 'CONNECT') {
    // It is asked for a host and a port alone; clients name the port of the scheme where a URL has none.
    return told(decidePassage({ caller, host, port: port ?? (isSecure ? 443 : 80), at }, policy))
  }
  return told(decide({ caller, target: { kind: 'name', host, port, isSecure }, method, path, at }, policy))
}

function told(decision: Permit | Waiver | Passage | Refusal): Why {
  const { reason, connection, grant } = decision
  const code = decision.permitted ? undefined : decision.code
  const wouldRefuse = decision.permitted ? decision.wouldRefuse?.code : undefined
  const said = code ?? wouldRefuse
  return {
    decision: decision.permitted ? 'permit' : 'refuse',
    reason,
    code,
    connection,
    grant,
    wouldRefuse,
    remedy: said && problems[said].remedy,
  }
}
