import { Readable } from 'node:stream'
import type { z } from '../forms/zod.ts'
import type { AuditLine } from '../store/audit-rows.ts'
import { AdminProblem } from './admin-problem.ts'
import { type auditKeys, isOf } from './audit-query.ts'

/** Bounds of what is kept for those who follow the audit. */
export interface TailBounds {
  /** Lines kept for those who come back. */
  readonly kept: number
  /** Ms for which they are kept after the last one has left. */
  readonly keptMs: number
  /** Bytes that wait for one client; beyond it the client is cut. */
  readonly queueBytes: number
  /** Clients at once. */
  readonly clients: number
  readonly heartbeatMs: number
  /** After it a client has to come back, and to prove itself again. */
  readonly lifeMs: number
}

const BOUNDS: TailBounds = {
  kept: 1000,
  keptMs: 60_000,
  queueBytes: 1024 * 1024,
  clients: 16,
  heartbeatMs: 15_000,
  lifeMs: 900_000,
}

/**
 * The latest lines of the audit, and who follows it. Nobody who follows can hold up who writes. Where nobody does, nothing is
 * kept: a thousand lines, with all they were made of, outlive the young generation, and cost a third more for each request.
 */
export class Tail {
  readonly bounds: TailBounds
  readonly #kept: AuditLine[] = []
  readonly #listeners = new Set<(line: AuditLine) => void>()
  #isKeeping = false
  #forgetting: NodeJS.Timeout | undefined

  constructor(bounds: Partial<TailBounds> = {}) {
    this.bounds = { ...BOUNDS, ...bounds }
  }

  /** A line that is being written; called for each, in order. Neither waits nor throws. */
  push(line: AuditLine): void {
    if (!this.#isKeeping) return
    this.#kept.push(line)
    // Twice as many at times: shifting a thousand lines for each new one would cost more than the line.
    if (this.#kept.length > 2 * this.bounds.kept) this.#kept.splice(0, this.#kept.length - this.bounds.kept)
    for (const listener of this.#listeners) listener(line)
  }

  /** Returns what ends it. @throws AdminProblem `too-many-tails` */
  join(listener: (line: AuditLine) => void): () => boolean {
    if (this.#listeners.size >= this.bounds.clients) throw new AdminProblem('too-many-tails')
    this.#listeners.add(listener)
    this.#isKeeping = true
    clearTimeout(this.#forgetting)
    return () => {
      const wasThere = this.#listeners.delete(listener)
      if (wasThere && this.#listeners.size === 0)
        this.#forgetting = setTimeout(this.#forget, this.bounds.keptMs).unref()
      return wasThere
    }
  }

  readonly #forget = (): void => {
    this.#isKeeping = false
    this.#kept.length = 0
  }

  /** What came after that event; undefined where it is not known any more, or never was. */
  after(eventId: string): readonly AuditLine[] | undefined {
    const at = this.#kept.findLastIndex((line) => idOf(line) === eventId)
    return at === -1 ? undefined : this.#kept.slice(at + 1)
  }
}

/** Names one line of one run of one instance. */
function idOf({ run, seq }: AuditLine): string {
  return `${run}:${seq}`
}

interface Follower {
  readonly wanted: z.infer<z.ZodObject<typeof auditKeys>>
  readonly lastEventId: string | undefined
}

/**
 * Server-sent events: `audit` for each line, with an id to come back with; `gap` where lines may be missing after the id
 * that was given; comments while there is nothing to say, so that a dead connection is noticed.
 * @throws AdminProblem `too-many-tails`
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export function followAudit(tail: Tail, { wanted, lastEventId }: Follower): Readable {
  const { queueBytes, heartbeatMs, lifeMs } = tail.bounds
  const events = new Readable({ read: () => undefined, highWaterMark: queueBytes })
  const write = (text: string) => {
    // Who does not read is cut: the audit goes on without waiting, and without keeping.
    if (events.readableLength + text.length > queueBytes) events.destroy(new Error('a client that does not read'))
    else events.push(text)
  }
  const tell = (line: AuditLine) => {
    if (isOf(line, wanted)) write(`id: ${idOf(line)}\nevent: audit\ndata: ${line.line}\n\n`)
  }
  const leave = tail.join(tell)
  const beat = setInterval(write, heartbeatMs, ': nothing new\n\n').unref()
  const life = setTimeout(() => end() && events.push(null), lifeMs).unref()
  const end = () => {
    clearInterval(beat)
    clearTimeout(life)
    return leave()
  }
  events.once('close', end)
  write(': the audit of this instance, as it is written\n\n')
  const missed = lastEventId === undefined ? [] : tail.after(lastEventId)
  if (missed) missed.forEach(tell)
  else write('event: gap\ndata: {}\n\n')
  return events
}
