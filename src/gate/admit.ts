import type { Ask, Caller, Evidence, Fields } from '../core/ask.ts'
import { decide, type Permit } from '../core/decide.ts'
import { decidePassage, type Passage } from '../core/passage.ts'
import type { Policy } from '../core/policy.ts'
import { Problem } from '../core/problem.ts'
import type { Refusal } from '../core/refusal.ts'
import type { Waiver } from '../core/waiver.ts'
import { valuesOf } from '../wire/fields.ts'
import type { Gate } from './gate.ts'
import type { Snapshot } from './snapshot.ts'
import type { Stay } from './stay.ts'
import type { Asked, Trace } from './trace.ts'

/**
 * The one way in, for every door, once it is known who asks: whether both gates let it.
 * @throws Problem `method-not-allowed`, `loop-detected`, `caller-unknown`, and every code of `decide`
 */
export function admit(ask: Ask, found: Caller, snapshot: Snapshot, { trace, gate }: Where): Permit | Waiver {
  refuseEcho(ask)
  refuseLoop(ask, gate.pseudonym)
  const { target, method, path, evidence } = ask
  const caller = knownNow(found, evidence, snapshot, trace)
  const decision = decide({ caller, target, method, path, at: gate.underWay.now() }, snapshot.policy)
  return permitted(decision, trace, target.kind === 'connection' ? target.called : undefined)
}

/** From now on it is cut when it would be refused. Call it in the turn of `admit`. */
export function beginStay({ evidence, target, method, path }: Ask, permit: Permit | Waiver, { underWay }: Gate): Stay {
  const decideAnew = (caller: Caller, at: number, policy: Policy) =>
    decide({ caller, target, method, path, at }, policy)
  return underWay.begin({ evidence, decide: decideAnew }, permit)
}

/** The ask that is under way, and what its path is joined to. */
export interface Where {
  readonly trace: Trace
  readonly gate: Gate
}

/** A CONNECT as a door took it in. */
export interface AskedPassage extends Asked {
  readonly evidence: Evidence
  readonly fields: Fields
  readonly target: { readonly kind: 'name'; readonly host: string; readonly port: number }
}

/**
 * The same way in, for a tunnel.
 * @throws Problem `loop-detected`, `caller-unknown`, and every code of `decidePassage`
 */
export function admitPassage(asked: AskedPassage, found: Caller, snapshot: Snapshot, { trace, gate }: Where): Passage {
  refuseLoop(asked, gate.pseudonym)
  const caller = knownNow(found, asked.evidence, snapshot, trace)
  const { host, port } = asked.target
  return permitted(decidePassage({ caller, host, port, at: gate.underWay.now() }, snapshot.policy), trace)
}

/** From now on the tunnel is cut when it would be refused. Call it in the turn of `admitPassage`. */
export function beginTunnel({ evidence, target }: AskedPassage, passage: Passage, { underWay }: Gate): Stay {
  const { host, port } = target
  const decideAnew = (caller: Caller, at: number, policy: Policy) => decidePassage({ caller, host, port, at }, policy)
  return underWay.begin({ evidence, decide: decideAnew }, passage)
}

/**
 * Who asks. It may take a while: whoever decides takes the snapshot afterwards.
 * @throws Problem `caller-unknown`, or what a method says against the proof
 */
export async function identify(evidence: Evidence, { trace, gate }: Where): Promise<Caller> {
  const snapshot = gate.snapshot()
  const found = await snapshot.identify(evidence)
  if (found.name === undefined) throw new Problem(found.code, found)
  trace.identified(found, snapshot)
  return found
}

/** A proof may have been looked into for seconds, by what was taken back meanwhile: judged by that, it proves nobody now. */
function knownNow(found: Caller, evidence: Evidence, snapshot: Snapshot, trace: Trace): Caller {
  if (trace.isIdentifiedBy(snapshot)) return found
  const caller = snapshot.recognize(found, evidence)
  if (!caller) throw new Problem('caller-unknown', { reason: `${found.name} is not known any more` })
  return caller
}

function permitted<P extends Permit | Waiver | Passage>(decision: P | Refusal, trace: Trace, called?: string): P {
  trace.decided(decision)
  if (decision.permitted) return decision
  throw new Problem(decision.code, { reason: decision.reason, called })
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
