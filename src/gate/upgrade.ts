import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Ask } from '../core/ask.ts'
import { isPermit, type Permit } from '../core/decide.ts'
import { Problem } from '../core/problem.ts'
import type { Waiver } from '../core/waiver.ts'
import type { Credential } from '../credentials/credential.ts'
import type { Outcome } from '../relay/http.ts'
import { relayUpgrade } from '../relay/upgrade.ts'
import { valuesOf } from '../wire/fields.ts'
import type { Framing } from '../wire/framing.ts'
import { admit, beginStay, identify } from './admit.ts'
import { connectionOf, recorded } from './exchange.ts'
import type { Gate } from './gate.ts'
import { lineageOf } from './lineage.ts'
import { watchNonces } from './nonce.ts'
import { obtain, purposeOf } from './obtain.ts'
import { prepare } from './prepare.ts'
import type { Connection } from './snapshot.ts'
import type { Stay } from './stay.ts'
import { Trace } from './trace.ts'

/** The caller's end of a connection that may switch protocols. */
export interface Switching {
  readonly socket: Duplex
  /** What came behind the head. */
  readonly head: Buffer
  readonly framing: Framing
  /** The handshake is over, and frames begin. */
  switched(): void
  /** Answers with a refusal and closes. Returns the status, undefined when it was too late. */
  refuse(problem: Problem, id: string): number | undefined
}

/** The path of one WebSocket handshake: the same as `exchange`, up to the relay. Never rejects, records exactly once. */
export async function exchangeUpgrade(ask: Ask, switching: Switching, gate: Gate): Promise<void> {
  const trace = new Trace(ask, gate.clock, gate.tracing)
  await recorded(trace, switching, gate, async () => {
    const caller = await identify(ask.evidence, { trace, gate })
    const snapshot = gate.snapshot()
    const permit = admit(ask, caller, snapshot, { trace, gate })
    const connection = connectionOf(permit, snapshot)
    refuseOtherwise(ask, switching, connection)
    const leave = connection.upstream.enter(permit.caller.name)
    const stay = beginStay(ask, permit, gate)
    try {
      const onGone = (listener: () => void) => void switching.socket.once('close', listener)
      const where = { trace, gate }
      const credential = isPermit(permit)
        ? await obtain(permit, connection, where, { onGone, stay, purpose: purposeOf(permit, ask) })
        : undefined
      trace.relayed(await hand({ ask, switching, permit, connection, stay, trace, gate }, credential))
    } finally {
      gate.underWay.end(stay)
      leave()
    }
  })
}

interface Errand {
  readonly ask: Ask
  readonly switching: Switching
  readonly permit: Permit | Waiver
  readonly connection: Connection
  readonly stay: Stay
  readonly trace: Trace
  readonly gate: Gate
}

async function hand(errand: Errand, credential: Credential | undefined): Promise<Outcome> {
  const { ask, switching, permit, connection, stay, trace, gate } = errand
  const { framing } = switching
  const nonces = credential && watchNonces(credential, connection.upstream.origin(permit.host, permit.port))
  let isNonceWanted = false
  const { pseudonym } = gate
  const traced = trace.sends(errand)
  const prepared = prepare({ permit, ask, framing, connection, credential, pseudonym, traced })
  const upstream = await dialUnlessCut(errand)
  if (credential) trace.spent(lineageOf(credential, connection, gate))
  const outcome = await relayUpgrade({
    path: prepared.path,
    fields: [...prepared.fields, 'Connection', 'Upgrade', 'Upgrade', 'websocket'],
    upstream,
    caller: switching.socket,
    head: switching.head,
    timeoutMs: connection.upstream.limits.responseTimeoutMs,
    relayChallenge: connection.injection === undefined,
    onCut: (listener) => stay.onCut(listener),
    refuse: (problem) => switching.refuse(problem, ask.id),
    switched: () => switching.switched(),
    answered: (status, fields) => (isNonceWanted = nonces?.(status, fields) ?? false),
  })
  trace.came(outcome)
  // The handshake is gone with its socket; the next one gets a credential that may still be good.
  if (outcome.status === 401 && credential && !isNonceWanted)
    void connection.supply.rejected(credential, purposeOf(permit, ask))
  return outcome
}

async function dialUnlessCut({ permit, connection, stay, gate }: Errand): Promise<Socket> {
  const end = new AbortController()
  stay.onCut((problem) => end.abort(problem))
  const upstream = await gate.dialer.dial(connection.upstream.destination(permit.host, permit.port), end.signal)
  if (stay.isCut) upstream.destroy()
  stay.check()
  return upstream
}

/** @see RFC 6455 section 4.1 */
function refuseOtherwise({ method, fields }: Ask, { framing }: Switching, { websocket, injection }: Connection): void {
  if (!websocket) throw new Problem('upgrade-refused', { reason: 'the connection does not say websocket: true' })
  if (injection?.body) throw new Problem('placeholder-misplaced', { reason: 'a handshake has no body' })
  // Node keeps such a body aside, and hands over what follows it as if it were the first frames.
  const isHandshake = method === 'GET' && framing.body === 'none' && valuesOf(fields, 'sec-websocket-key').length === 1
  if (!isHandshake) throw new Problem('request-malformed', { reason: 'not a WebSocket handshake' })
}
