import type { Ask } from '../core/ask.ts'
import { isPermit, type Permit } from '../core/decide.ts'
import { Problem } from '../core/problem.ts'
import type { Waiver } from '../core/waiver.ts'
import type { Credential } from '../credentials/credential.ts'
import { echoForms } from '../injections/echo-forms.ts'
import type { Answer, Incoming } from '../relay/answer.ts'
import { type Outcome, relay } from '../relay/http.ts'
import { ScrubbedAnswer } from '../relay/scrubbed-answer.ts'
import { admit, beginStay, identify, type Where } from './admit.ts'
import type { Gate } from './gate.ts'
import { type HeldBody, holdBody } from './held-body.ts'
import { keepBody } from './kept-body.ts'
import { lineageOf } from './lineage.ts'
import { watchNonces } from './nonce.ts'
import { obtain, purposeOf, replace } from './obtain.ts'
import { prepare } from './prepare.ts'
import type { Connection, Snapshot } from './snapshot.ts'
import type { Decided, Stay } from './stay.ts'
import { Trace } from './trace.ts'

/** The path of one ask, at whichever door it came in. Never rejects, and records exactly once. */
export async function exchange(ask: Ask, incoming: Incoming, answer: RefusingAnswer, gate: Gate): Promise<void> {
  const trace = new Trace(ask, gate.clock, gate.tracing)
  await recorded(trace, answer, gate, () => pass({ ask, incoming }, answer, { trace, gate }))
}

/** An ask with the body that belongs to it. */
export interface Asking {
  readonly ask: Ask
  readonly incoming: Incoming
}

/** The steps of every ask that comes by HTTP, from the question who asks to the last byte of the answer. */
export async function pass({ ask, incoming }: Asking, answer: Answer, { trace, gate }: Where): Promise<void> {
  const caller = await identify(ask.evidence, { trace, gate })
  const snapshot = gate.snapshot()
  const permit = admit(ask, caller, snapshot, { trace, gate })
  const connection = connectionOf(permit, snapshot)
  refuseOversize(incoming, connection)
  const leave = connection.upstream.enter(permit.caller.name)
  const stay = beginStay(ask, permit, gate)
  try {
    const onGone = (listener: () => void) => answer.onGone(listener)
    const where = { trace, gate }
    const holding = holdBody({ ask, incoming, connection, stay })
    const held = holding && (await holding)
    const credential = isPermit(permit)
      ? await obtain(permit, connection, where, { onGone, stay, purpose: purposeOf(permit, ask) })
      : undefined
    trace.relayed(await send({ ask, incoming, held, answer, permit, connection, stay, trace, gate }, credential))
  } finally {
    gate.underWay.end(stay)
    leave()
  }
}

/** An answer that can also be a refusal; the door knows its form. Returns the status, undefined when it was too late. */
export interface RefusingAnswer extends Answer {
  refuse(problem: Problem, id: string): number | undefined
}

/** Runs the steps of an ask, turns whatever they throw into the one refusal, and writes the one entry; or none, where no entry could be written. */
export async function recorded(
  trace: Trace,
  answer: Pick<RefusingAnswer, 'refuse'>,
  gate: Gate,
  steps: () => Promise<void>,
): Promise<void> {
  const full = gate.unrecordable(trace)
  if (full) return void answer.refuse(full, trace.id)
  let failure: unknown
  try {
    await steps()
  } catch (error) {
    failure = error
    const problem = Problem.from(error)
    trace.failed(problem, answer.refuse(problem, trace.id))
  }
  const entry = trace.entry()
  gate.record(entry, failure, trace.parts())
  trace.finish(entry)
}

/** The connection that a yes names, from the snapshot by which it was said; that without any where it names none. */
export function connectionOf({ connection: name }: Pick<Decided, 'connection'>, snapshot: Snapshot): Connection {
  if (name === undefined) return snapshot.unlisted
  const connection = snapshot.connections.get(name)
  if (!connection) throw new Problem('internal-error', { reason: `no connection ${name} in the snapshot` })
  return connection
}

/** What is announced as too large is refused before a byte of it is read, and before a credential is obtained. */
function refuseOversize({ framing }: Incoming, { upstream }: Connection): void {
  const { maxRequestBytes } = upstream.limits
  if (framing.body === 'length' && framing.length > maxRequestBytes) {
    throw new Problem('body-too-large', { reason: `${framing.length} bytes, and ${maxRequestBytes} are allowed` })
  }
}

interface Errand {
  readonly ask: Ask
  readonly incoming: Incoming
  readonly held: HeldBody | undefined
  readonly answer: Answer
  readonly permit: Permit | Waiver
  readonly connection: Connection
  readonly stay: Stay
  readonly trace: Trace
  readonly gate: Gate
}

/**
 * Sends, and sends once more where that is safe: after a 401 to a credential that could be replaced, when an idle
 * connection turned out to be closed, or where the upstream wants its nonce in the proof.
 */
async function send(errand: Errand, credential: Credential | undefined): Promise<Outcome> {
  const first = await attempt(errand, credential, true)
  if (first.outcome.ended !== 'unwanted' && first.outcome.ended !== 'silent-close') return first.outcome
  if (!first.again && !isReplayable(errand)) throw first.outcome.problem ?? new Problem('upstream-unreachable')
  errand.trace.resent()
  const second = await attempt(
    { ...errand, ...(first.again && { incoming: first.again }) },
    first.replacement ?? credential,
    false,
  )
  if (second.outcome.ended === 'silent-close') throw second.outcome.problem ?? new Problem('upstream-unreachable')
  return second.outcome
}

interface Attempt {
  readonly outcome: Outcome
  readonly replacement: Credential | undefined
  /** The body once more: nothing was done with it, for want of a nonce. */
  readonly again: Incoming | undefined
}

async function attempt(errand: Errand, credential: Credential | undefined, isFirst: boolean): Promise<Attempt> {
  const { ask, held, answer, permit, connection, stay, trace, gate } = errand
  const { upstream } = connection
  stay.check()
  const mayRepeat = isFirst && isReplayable(errand)
  let replacement: Credential | undefined
  let again: Incoming | undefined
  if (credential) trace.spent(lineageOf(credential, connection, gate))
  const nonces = credential && watchNonces(credential, upstream.origin(permit.host, permit.port))
  const incoming = held ? held.filled(credential) : errand.incoming
  const prepared = prepare({
    permit,
    ask,
    framing: incoming.framing,
    connection,
    credential,
    pseudonym: gate.pseudonym,
    traced: trace.sends(errand),
  })
  const outbound = {
    ...prepared,
    method: ask.method,
    incoming,
    sender: upstream.sender(permit.caller.name, permit.host, permit.port, credential && whoseOf(errand)),
    maxRequestBytes: upstream.limits.maxRequestBytes,
    idleTimeoutMs: upstream.limits.idleTimeoutMs,
    relayChallenge: connection.injection === undefined,
    onCut: (listener: (problem: Problem) => void) => stay.onCut(listener),
    wants(status: number, fields: readonly string[]) {
      trace.heard()
      // The token is as good as it was: the same again, with the nonce that has come. Nothing was done, so that this is
      // safe for every method, and for a body that is all here. @see RFC 9449 section 9
      const isForNonce = nonces?.(status, fields) ?? false
      if (isForNonce) again = kept?.again()
      kept?.forget()
      if (isForNonce) return again === undefined
      if (status !== 401 || !credential) return true
      const renewed = replace(credential, connection, purposeOf(permit, ask), { trace, gate })
      return mayRepeat ? renewed.then((next) => (replacement = next) === undefined) : true
    },
  }
  trace.sending()
  const kept = nonces && isFirst ? keepBody(incoming) : undefined
  const forms = connection.scrubResponses && credential ? echoForms(credential.secret) : undefined
  const outcome = await relay(outbound, forms ? new ScrubbedAnswer(answer, { method: ask.method, forms }) : answer)
  trace.came(outcome)
  return { outcome, replacement, again }
}

/** Who shares the credential with whom also shares sockets; undefined where all that a caller has is one. */
function whoseOf({ ask, permit, connection }: Errand): string | undefined {
  return connection.supply.keyOf?.(purposeOf(permit, ask))
}

/** A second time does no more than the first, and there is no body that would be gone. @see RFC 9110 section 9.2.2 */
function isReplayable({ ask, incoming }: Errand): boolean {
  return incoming.framing.body === 'none' && (ask.method === 'GET' || ask.method === 'HEAD' || ask.method === 'OPTIONS')
}
