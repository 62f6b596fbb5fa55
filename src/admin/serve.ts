import { randomUUIDv7 } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import type { Peer } from '../core/ask.ts'
import { StoreError } from '../store/store.ts'
import { peerNetwork } from '../wire/address.ts'
import { AdminProblem } from './admin-problem.ts'
import type { AdminProblemCode } from './admin-problems.ts'
import { readJson } from './body.ts'
import { evidenceOf } from './evidence.ts'
import { parseInput } from './input.ts'
import type { Operator } from './operators.ts'
import { cursorInvalid } from './page.ts'
import type { AdminPorts } from './ports.ts'
import { pour } from './pour.ts'
import { PROTECTIONS, refusalResponse } from './refusal.ts'
import { reaches } from './role.ts'
import type { Asked, Effect, Route } from './route.ts'
import type { WrongProofs } from './wrong-proofs.ts'

/** What Node and the door know of a request. */
export interface Line {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  /** What the kernel says of the process at the other end of a Unix socket. */
  readonly peer: Peer | undefined
}

/** A request for one route, as it came. */
export interface Request extends Line {
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, readonly string[]>>
}

/** One request of the API: who, may they, is it right, do it, tell the audit, answer. */
export async function serve(
  route: Route,
  request: Request,
  { ports, wrong }: { readonly ports: AdminPorts; readonly wrong: WrongProofs },
): Promise<Response> {
  const id = randomUUIDv7()
  const record = recorderOf(route, id, ports)
  let operator: Operator | undefined
  let subject = Object.values(request.params).join(' ').slice(0, 256)
  try {
    operator = await recognize(request, ports, wrong)
    if (!reaches(operator.role, route.role)) throw new AdminProblem('role-insufficient', { detail: needs(route) })
    if (!mayBegin(route, ports)) throw new AdminProblem('audit-full')
    const body = route.body ? await readJson(request.incoming) : undefined
    const input = parseInput(route, { ...request, body })
    // Each handler is given what its own schemas have made of the request, and nothing else.
    const asked = { ...input, operator, ...circumstances(request) } as unknown as Asked<never, never, never>
    subject = route.subject(asked) ?? subject
    const { answer: given, effects } = await route.handle(asked, ports)
    for (const effect of effects) record(operator, effect, undefined)
    const answer = typeof given === 'function' ? await given() : given
    // A stream is the answer of those routes that say a media type.
    if (typeof route.response === 'string') return pour(answer as Readable, route.response, request)
    return answerOf(route, answer)
  } catch (error) {
    const problem = problemOf(error)
    if (problem.code === 'internal-error' || problem.code === 'store-lost') ports.onFault(id, error)
    if (!UNRECORDED.has(problem.code)) record(operator, { subject }, problem.code)
    return refusalResponse(problem, id)
  }
}

/** A flood of guesses must not push out what the audit is for; and what has no room has none. */
const UNRECORDED = new Set<AdminProblemCode>(['operator-throttled', 'audit-full'])

async function recognize({ incoming, peer }: Request, ports: AdminPorts, wrong: WrongProofs): Promise<Operator> {
  const { operators, clock } = ports
  const address = incoming.socket.remoteAddress
  const operator = await operators.recognize(evidenceOf(incoming.rawHeaders, { peer, address }))
  if (typeof operator === 'object') return operator
  const retryAfter = wrong.add(peer ? `uid ${peer.uid}` : peerNetwork(address ?? ''), clock.now())
  if (retryAfter !== undefined) throw new AdminProblem('operator-throttled', { retryAfter })
  if (operator === 'unverifiable') throw new AdminProblem('operator-unverifiable', { retryAfter: 5 })
  throw new AdminProblem(operators.isEmpty ? 'operators-missing' : 'operator-unknown')
}

/**
 * What could not be recorded is not done. But whoever fills the audit must not keep what it has: what takes away is few, and
 * is kept until it can be recorded, as long as this process has an audit.
 */
function mayBegin({ action, isTaking }: Route, { isAuditFull, isReady }: AdminPorts): boolean {
  return action === undefined || !isAuditFull() || (isTaking && isReady())
}

function needs({ role }: Route): string {
  return `Ask somebody whose role is ${role === 'admin' ? 'admin' : `${role} or more`}; "admin.operators" gives roles.`
}

function circumstances({ incoming }: Request): Pick<Asked<never, never, never>, 'lastEventId'> {
  const lastEventId = incoming.headers['last-event-id']
  return { lastEventId: typeof lastEventId === 'string' ? lastEventId : undefined }
}

type Tell = (operator: Operator | undefined, effect: Effect, code: string | undefined) => void

/** Of what changes something, and of nothing else: a look changes nothing. */
function recorderOf({ action }: Route, id: string, { change, clock }: AdminPorts): Tell {
  return (operator, { subject, before, after }, code) => {
    if (action === undefined) return
    const time = new Date(clock.now()).toISOString()
    const who = { operator: operator?.name ?? 'unknown', proof: operator?.proof ?? 'none' }
    change({ time, id, ...who, action, subject, before, after, code })
  }
}

function answerOf({ status, response }: Route, answer: unknown): Response {
  if (response === undefined) return new Response(null, { status, headers: PROTECTIONS })
  return new Response(`${JSON.stringify(answer)}\n`, {
    status,
    headers: { ...PROTECTIONS, 'Content-Type': 'application/json' },
  })
}

function problemOf(error: unknown): AdminProblem {
  if (error instanceof AdminProblem) return error
  if (!(error instanceof StoreError)) return new AdminProblem('internal-error', { cause: error })
  return error.code === 'cursor' ? cursorInvalid() : new AdminProblem(STORE_FAULTS[error.code], { cause: error })
}

const STORE_FAULTS = {
  taken: 'name-taken',
  missing: 'not-found',
  lost: 'store-lost',
  key: 'sealing-key-missing',
} as const
