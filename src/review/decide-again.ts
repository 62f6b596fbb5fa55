import { decide, type Permit } from '../core/decide.ts'
import { decidePassage, type Passage } from '../core/passage.ts'
import type { Policy } from '../core/policy.ts'
import type { ProblemCode } from '../core/problem.ts'
import type { Refusal } from '../core/refusal.ts'
import type { Waiver } from '../core/waiver.ts'
import { type CeilingOf, passageQuestionOf, questionOf, type Recorded } from './recorded.ts'

/** A policy, which of its connections inject a credential, and how far its scopes reach. */
export interface Candidate {
  readonly policy: Policy
  readonly injecting: ReadonlySet<string>
  readonly ceilingOf: CeilingOf
}

export type Decision = Permit | Waiver | Passage | Refusal

/** Refusals that another policy could have spared. */
const OF_POLICY: ReadonlySet<string> = new Set<ProblemCode>([
  'host-not-allowed',
  'port-not-allowed',
  'connection-missing',
  'connection-unknown',
  'connection-disabled',
  'path-not-allowed',
  'connect-refused',
  'grant-missing',
  'grant-expired',
  'rule-not-matched',
  'scope-insufficient',
])

/** Whether a policy has anything to say of it. */
export function isOfPolicy({ decision, code = '' }: Recorded): boolean {
  return decision === 'permit' || OF_POLICY.has(code)
}

const HTTPS_PORT = 443

/** What was asked, decided by this policy at the time of the asking; undefined where too little is known of it. */
export function decideAgain(
  entry: Recorded,
  { policy, ceilingOf }: Pick<Candidate, 'policy' | 'ceilingOf'>,
): Decision | undefined {
  if (entry.method === 'CONNECT') {
    const port = policy.places.find(entry.host ?? '')?.port ?? HTTPS_PORT
    const question = passageQuestionOf(entry, port, ceilingOf)
    return question && decidePassage(question, policy)
  }
  const question = questionOf(entry, ceilingOf)
  return question && decide(question, policy)
}
