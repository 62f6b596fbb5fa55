import type { Ask, Caller, Evidence, Fields } from '../core/ask.ts'
import { decide, type Permit, type Refusal } from '../core/decide.ts'
import { decidePassage, type Passage } from '../core/passage.ts'
import { Problem } from '../core/problem.ts'
import { valuesOf } from '../wire/fields.ts'
import type { Gate, Snapshot } from './snapshot.ts'
import type { Asked, Trace } from './trace.ts'

/**
 * The one way in, for every door: who asks, and whether both gates let it.
 * @throws Problem `caller-unknown`, `method-not-allowed`, `loop-detected`, and every code of `decide`
 */
export function admit(ask: Ask, snapshot: Snapshot, trace: Trace, gate: Gate): Permit {
  const caller = identify(ask.evidence, snapshot, trace)
  refuseEcho(ask)
  refuseLoop(ask, gate.pseudonym)
  const { target, method, path } = ask
  return permitted(decide({ caller, target, method, path, at: gate.clock.now() }, snapshot.policy), trace)
}

/** A CONNECT as a door took it in. */
export interface AskedPassage extends Asked {
  readonly evidence: Evidence
  readonly fields: Fields
  readonly target: { readonly kind: 'name'; readonly host: string; readonly port: number }
}

/**
 * The same way in, for a tunnel.
 * @throws Problem `caller-unknown`, `loop-detected`, and every code of `decidePassage`
 */
export function admitPassage(asked: AskedPassage, snapshot: Snapshot, trace: Trace, gate: Gate): Passage {
  const caller = identify(asked.evidence, snapshot, trace)
  refuseLoop(asked, gate.pseudonym)
  const { host, port } = asked.target
  return permitted(decidePassage({ caller, host, port, at: gate.clock.now() }, snapshot.policy), trace)
}

/** Who asks. @throws Problem `caller-unknown` */
export function identify(evidence: Evidence, snapshot: Snapshot, trace: Trace): Caller {
  const caller = snapshot.identify(evidence)
  if (!caller) throw new Problem('caller-unknown', { reason: 'no proof, or a wrong one' })
  trace.identified(caller)
  return caller
}

function permitted<P extends Permit | Passage>(decision: P | Refusal, trace: Trace): P {
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
function refuseLoop({ fields }: Pick<Ask, 'fields'>, pseudonym: string): void {
  if (valuesOf(fields, 'via').some((via) => via.includes(pseudonym))) {
    throw new Problem('loop-detected', { reason: 'Via names this process' })
  }
}
