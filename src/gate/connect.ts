import type { Socket } from 'node:net'
import type { Passage } from '../core/passage.ts'
import { Problem } from '../core/problem.ts'
import type { Outcome } from '../relay/http.ts'
import { relayTunnel } from '../relay/tunnel.ts'
import { readFirstFlight } from '../wire/first-flight.ts'
import { type AskedPassage, admitPassage, identify } from './admit.ts'
import { connectionOf, recorded } from './exchange.ts'
import { closeUnfit, faultOfFlight, HANDSHAKE_MS } from './first-bytes.ts'
import type { Connection, Gate } from './snapshot.ts'
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
  const trace = new Trace(asked, gate.clock)
  await recorded(trace, knock, gate, async () => {
    const caller = await identify(asked.evidence, { trace, gate })
    const snapshot = gate.snapshot()
    const passage = admitPassage(asked, caller, snapshot, { trace, gate })
    if (passage.tls !== 'pass') return trace.relayed(await knock.open(passage))
    const connection = connectionOf(passage, snapshot.connections)
    const leave = connection.upstream.enter(passage.caller.name)
    try {
      trace.relayed(await passThrough({ passage, connection, knock, gate }))
    } finally {
      leave()
    }
  })
}

interface Errand {
  readonly passage: Passage
  readonly connection: Connection
  readonly knock: Knock
  readonly gate: Gate
}

/** Dials first, so that what fails is an answer to the CONNECT; then says 200, and looks at what comes. */
async function passThrough(errand: Errand): Promise<Outcome> {
  const { passage, connection, knock, gate } = errand
  const { socket } = knock
  const end = new AbortController()
  const leave = () => end.abort(new Problem('upstream-unreachable', { reason: 'the caller left while it was dialled' }))
  socket.once('close', leave)
  const destination = connection.upstream.destination(passage.host)
  const upstream = await gate.dialer.dial({ ...destination, tls: 'plaintext' }, end.signal)
  socket.off('close', leave)
  knock.accept()
  const unfit = await faultOfBeginning(errand, upstream)
  if (unfit) {
    upstream.destroy()
    return { ended: 'broken', status: 200, bytesIn: 0, bytesOut: 0, problem: unfit }
  }
  const timer = endWithGrant(passage, end, gate)
  const { idleTimeoutMs, tunnelTimeoutMs: maxMs } = connection.upstream.limits
  const outcome = await relayTunnel({ caller: socket, upstream, idleTimeoutMs, maxMs, signal: end.signal })
  clearTimeout(timer)
  return outcome
}

async function faultOfBeginning(
  { knock, passage, connection }: Errand,
  upstream: Socket,
): Promise<Problem | undefined> {
  const { socket, head } = knock
  if (connection.tunnel === 'any') {
    // Of a caller that has said all it had to say, there is nothing left to read.
    if (head.length > 0 && socket.readable) socket.unshift(head)
    else upstream.write(head)
    return undefined
  }
  const unfit = faultOfFlight(await readFirstFlight(socket, head, { timeoutMs: HANDSHAKE_MS }), passage.host, false)
  if (unfit) closeUnfit(socket, unfit)
  return unfit?.problem
}

/** setTimeout counts to 24 days; a tunnel is over by its own limit long before that. */
const LONGEST_MS = 2 ** 31 - 1

function endWithGrant({ until, grant }: Passage, end: AbortController, gate: Gate): NodeJS.Timeout | undefined {
  const left = until === undefined ? Number.POSITIVE_INFINITY : until - gate.clock.now()
  if (left > LONGEST_MS) return undefined
  const over = new Problem('tunnel-closed', { reason: `grant ${grant} has ended` })
  return setTimeout(() => end.abort(over), Math.max(0, left)).unref()
}
