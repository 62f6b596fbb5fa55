import type { Ask } from '../core/ask.ts'
import { decide, type Permit } from '../core/decide.ts'
import { Problem } from '../core/problem.ts'
import { valuesOf } from '../wire/fields.ts'
import type { Gate, Snapshot } from './snapshot.ts'
import type { Trace } from './trace.ts'

/**
 * The one way in, for every door: who asks, and whether both gates let it.
 * @throws Problem `caller-unknown`, `method-not-allowed`, `loop-detected`, and every code of `decide`
 */
export function admit(ask: Ask, snapshot: Snapshot, trace: Trace, gate: Gate): Permit {
  const caller = snapshot.identify(ask.evidence)
  if (!caller) throw new Problem('caller-unknown', { reason: 'no proof, or a wrong one' })
  trace.identified(caller)
  refuseEcho(ask)
  refuseLoop(ask, gate.pseudonym)
  const { target, method, path } = ask
  const decision = decide({ caller, target, method, path, at: gate.clock.now() }, snapshot.policy)
  trace.decided(decision)
  if (decision.permitted) return decision
  throw new Problem(decision.code, { reason: decision.reason })
}

/** TRACE sends the request back as the upstream saw it, credential included; so may OPTIONS that asks the last hop. */
function refuseEcho({ method, fields }: Ask): void {
  if (method === 'TRACE') throw new Problem('method-not-allowed', { reason: 'TRACE' })
  if (method === 'OPTIONS' && valuesOf(fields, 'max-forwards').some((hops) => Number(hops) === 0)) {
    throw new Problem('method-not-allowed', { reason: 'OPTIONS with Max-Forwards: 0' })
  }
}

/** @see RFC 9110 section 7.6.3 */
function refuseLoop({ fields }: Ask, pseudonym: string): void {
  if (valuesOf(fields, 'via').some((via) => via.includes(pseudonym))) {
    throw new Problem('loop-detected', { reason: 'Via names this process' })
  }
}
