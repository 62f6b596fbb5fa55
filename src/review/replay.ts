import type { ProblemCode } from '../core/problem.ts'
import { type Candidate, type Decision, decideAgain, isOfPolicy } from './decide-again.ts'
import { shapeOf } from './path-shape.ts'
import type { Recorded } from './recorded.ts'

/** Asks that are alike, and would be decided otherwise. */
export interface Shift {
  readonly caller: string
  readonly connection: string | undefined
  readonly host: string | undefined
  readonly method: string
  /** With `*` for ids; absent of a CONNECT. */
  readonly path: string | undefined
  readonly count: number
  /** Why it would be decided so; of the first. */
  readonly reason: string
  readonly code: ProblemCode | undefined
  /** The first of them. */
  readonly example: Pick<Recorded, 'time' | 'id' | 'path'>
}

/** What would be otherwise. Queries and ports are not recorded, so what hangs on them is not seen. */
export interface Replay {
  /** Let through then, refused now. */
  readonly newlyDenied: readonly Shift[]
  /** Refused then, let through now. */
  readonly newlyAllowed: readonly Shift[]
  /** Without a credential then, with one now: refused, or let through bare. */
  readonly newlyCredentialed: readonly Shift[]
  readonly replayed: number
  /** Of an unknown caller, malformed, or refused for what no policy says anything about. */
  readonly skipped: number
}

type Kind = 'newlyDenied' | 'newlyAllowed' | 'newlyCredentialed'

/** Decides everything that was recorded once more, by another policy, each at its own time. */
export function replay(entries: Iterable<Recorded>, candidate: Candidate): Replay {
  const replaying = new Replaying(candidate)
  for (const entry of entries) replaying.take(entry)
  return replaying.end()
}

/** The same, entry by entry: memory grows with what differs, not with what was recorded. */
export class Replaying {
  readonly #candidate: Candidate
  readonly #shifts: Readonly<Record<Kind, Map<string, Shift>>> = {
    newlyDenied: new Map(),
    newlyAllowed: new Map(),
    newlyCredentialed: new Map(),
  }
  #replayed = 0
  #skipped = 0

  constructor(candidate: Candidate) {
    this.#candidate = candidate
  }

  take(entry: Recorded): void {
    const decision = isOfPolicy(entry) ? decideAgain(entry, this.#candidate) : undefined
    if (!decision) {
      this.#skipped++
      return
    }
    this.#replayed++
    for (const kind of kindsOf(entry, decision, this.#candidate)) count(this.#shifts[kind], entry, decision)
  }

  end(): Replay {
    const listed = (kind: Kind) => [...this.#shifts[kind].values()].toSorted((one, other) => other.count - one.count)
    return {
      newlyDenied: listed('newlyDenied'),
      newlyAllowed: listed('newlyAllowed'),
      newlyCredentialed: listed('newlyCredentialed'),
      replayed: this.#replayed,
      skipped: this.#skipped,
    }
  }
}

function kindsOf(entry: Recorded, decision: Decision, { injecting }: Candidate): readonly Kind[] {
  if (!decision.permitted) return entry.decision === 'permit' ? ['newlyDenied'] : []
  const allowed: Kind[] = entry.decision === 'refuse' ? ['newlyAllowed'] : []
  const hasCredential = entry.method !== 'CONNECT' && injecting.has(decision.connection ?? '')
  return hasCredential && wasBare(entry) ? [...allowed, 'newlyCredentialed'] : allowed
}

/** One that failed may have failed before its credential was there; where no connection led there was none to come. */
function wasBare({ decision, connection, credential, code }: Recorded): boolean {
  return decision === 'refuse' || (credential === undefined && (code === undefined || connection === undefined))
}

/** Callers make up as many paths as they like, of thousands of characters each: beyond so many rows one stands for all. */
const MAX_ROWS = 2_000

function count(rows: Map<string, Shift>, entry: Recorded, decision: Decision): void {
  const { caller = '', host, method, path, time, id } = entry
  const connection = decision.connection ?? entry.connection
  const isRoom = rows.size < MAX_ROWS
  const shape = path === undefined ? undefined : isRoom ? (shapeOf(path) ?? path) : '/**'
  const code = decision.permitted ? undefined : decision.code
  const key = JSON.stringify([caller, connection, host, method, shape, code])
  const before = rows.get(key)
  const row = {
    caller,
    connection,
    host,
    method,
    path: shape,
    code,
    reason: decision.reason,
    example: { time, id, path },
  }
  rows.set(key, before ? { ...before, count: before.count + 1 } : { ...row, count: 1 })
}
