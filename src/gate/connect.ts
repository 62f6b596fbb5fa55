import type { Socket } from 'node:net'
import type { Passage } from '../core/passage.ts'
import { Problem } from '../core/problem.ts'
import { breakOff } from '../relay/break-off.ts'
import type { Outcome } from '../relay/http.ts'
import { relayTunnel } from '../relay/tunnel.ts'
import { readFirstFlight } from '../wire/first-flight.ts'
import { type AskedPassage, admitPassage, beginTunnel, identify } from './admit.ts'
import { connectionOf, recorded } from './exchange.ts'
import { closeUnfit, faultOfFlight, HANDSHAKE_MS } from './first-bytes.ts'
import type { Gate } from './gate.ts'
import type { Connection } from './snapshot.ts'
import type { Stay } from './stay.ts'
import { Trace } from './trace.ts'

/** The caller's end of a CONNECT. */
export interface Knock {
  readonly socket: Socket
  /** What came behind the head. */
  readonly head: Buffer
  /** Says 200: every byte after that belongs to the tunnel. */
  accept(): void
  /** Answers with a refusal and closes. Returns the status, undefined when it was too late. */
  refuse(problem: Problem, id: string): number | undefined
  /** Accepts, and serves what comes; resolves when the first request is in, or when none will come. Never rejects. */
  open(passage: Passage): Promise<Outcome>
}

/**
 * The path of one CONNECT. A tunnel that is opened here is recorded when its first request comes, and each request in it
 * takes the path of every other ask; one that passes unopened is recorded at its end. Never rejects, records exactly once.
 */
export async function exchangeConnect(asked: AskedPassage, knock: Knock, gate: Gate): Promise<void> {
  const trace = new Trace(asked, gate.clock, gate.tracing)
  await recorded(trace, knock, gate, async () => {
    const caller = await identify(asked.evidence, { trace, gate })
    const snapshot = gate.snapshot()
    const passage = admitPassage(asked, caller, snapshot, { trace, gate })
    const stay = beginTunnel(asked, passage, gate)
    const errand = { passage, connection: connectionOf(passage, snapshot), knock, stay, gate }
    if (passage.tls !== 'pass') return trace.relayed(await open(errand))
    try {
      trace.relayed(await pass(errand))
    } finally {
      gate.underWay.end(stay)
    }
  })
}

/** A tunnel that is opened here is under way until it closes, also between two requests in it. */
async function open({ passage, connection, knock, stay, gate }: Errand): Promise<Outcome> {
  const { socket } = knock
  let cutBy: Problem | undefined
  const leave = enterTunnel(passage, connection, () => gate.underWay.end(stay))
  const over = () => {
    gate.underWay.end(stay)
    leave()
  }
  if (socket.closed) over()
  else socket.once('close', over)
  stay.onCut((problem) => {
    cutBy = problem
    breakOff(socket)
  })
  const outcome = await knock.open(passage)
  return cutBy ? { ...outcome, ended: 'broken', problem: cutBy } : outcome
}

/** What does not come in is not under way. @throws Problem `too-many-requests` */
function enterTunnel({ caller }: Passage, { upstream }: Connection, end: () => void): () => void {
  try {
    return upstream.enterTunnel(caller.name)
  } catch (error) {
    end()
    throw error
  }
}

async function pass(errand: Errand): Promise<Outcome> {
  const leave = errand.connection.upstream.enter(errand.passage.caller.name)
  try {
    return await passThrough(errand)
  } finally {
    leave()
  }
}

interface Errand {
  readonly passage: Passage
  readonly connection: Connection
  readonly knock: Knock
  readonly stay: Stay
  readonly gate: Gate
}

/** Dials first, so that what fails is an answer to the CONNECT; then says 200, and looks at what comes. */
async function passThrough(errand: Errand): Promise<Outcome> {
  const { passage, connection, knock, stay, gate } = errand
  const { socket } = knock
  const end = new AbortController()
  stay.onCut((problem) => end.abort(problem))
  const leave = () => end.abort(new Problem('upstream-unreachable', { reason: 'the caller left while it was dialled' }))
  socket.once('close', leave)
  const destination = connection.upstream.destination(passage.host, passage.port)
  const upstream = await gate.dialer.dial({ ...destination, tls: 'plaintext' }, end.signal)
  socket.off('close', leave)
  if (stay.isCut) upstream.destroy()
  stay.check()
  knock.accept()
  const unfit = await faultOfBeginning(errand, upstream)
  if (unfit) {
    upstream.destroy()
    return { ended: 'broken', status: 200, bytesIn: 0, bytesOut: 0, problem: unfit }
  }
  stay.onCut((problem) => end.abort(problem))
  const { idleTimeoutMs, tunnelTimeoutMs: maxMs } = connection.upstream.limits
  return relayTunnel({ caller: socket, upstream, idleTimeoutMs, maxMs, signal: end.signal })
}

async function faultOfBeginning(
  { knock, passage, connection, stay }: Errand,
  upstream: Socket,
): Promise<Problem | undefined> {
  const { socket, head } = knock
  if (connection.tunnel === 'any') {
    // Of a caller that has said all it had to say, there is nothing left to read.
    if (head.length > 0 && socket.readable) socket.unshift(head)
    else upstream.write(head)
    return undefined
  }
  let cutBy: Problem | undefined
  stay.onCut((problem) => {
    cutBy = problem
    breakOff(socket)
  })
  const unfit = faultOfFlight(await readFirstFlight(socket, head, { timeoutMs: HANDSHAKE_MS }), passage.host, false)
  if (unfit && !cutBy) closeUnfit(socket, unfit)
  return cutBy ?? unfit?.problem
}
