import type { Change } from '../audit/change.ts'
import type { Entry } from '../audit/entry.ts'
import { Problem } from '../core/problem.ts'
import type { Blame } from '../core/problem-row.ts'
import { problems } from '../core/problems.ts'
import type { CallerOutcome, Used } from '../telemetry/caller-use.ts'
import { describe, type Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { TimeParts } from './trace.ts'

/** Tells everybody who is to know what happened. Nothing here throws. */
export interface Recorder {
  /** Once for each ask that is over. `failure`: what was thrown, for the log alone. */
  record(entry: Entry, failure: unknown, parts?: TimeParts): void
  /** Once for each change that an operator made, or tried to. */
  change(change: Change): void
  /**
   * Why an ask may not even begin: its entry could not be written. The one refusal that is in no audit; it is counted, and
   * logged, here.
   */
  unrecordable(asked: { readonly id: string; readonly door: string }): Problem | undefined
}

interface Ears {
  readonly audit: { ask(entry: Entry): void; change(change: Change): void; isFull(): boolean }
  readonly metrics: Metrics
  readonly log: Logger
  /** What a caller is called in metrics: one of a bounded number of names. */
  labelOf(caller: string | undefined): string
  /** Hears every entry, too. Must not throw. */
  onEntry?(entry: Entry): void
}

/** Joins the audit, the metrics and the log. */
export function createRecorder({ audit, metrics, log, labelOf, onEntry }: Ears): Recorder {
  return {
    record(entry, failure, parts = {}) {
      audit.ask(entry)
      onEntry?.(entry)
      measure(entry, metrics)
      measureParts(entry, parts, metrics)
      metrics.callers.add(usedBy(labelOf(entry.caller), entry))
      if (failure !== undefined || entry.code !== undefined) report(entry, failure, log)
    },
    change: (change) => audit.change(change),
    unrecordable({ id, door }) {
      if (!audit.isFull()) return undefined
      const problem = new Problem('audit-full', { reason: 'a sink of the audit can take no more', retryAfter: 1 })
      const { code, reason, row } = problem
      measure({ door, connection: undefined, status: row.status, code, totalMs: 0 }, metrics)
      log[LEVELS[row.blame]]({ id, door, code, reason }, 'refused or failed')
      return problem
    },
  }
}

function measureParts({ door, connection }: Entry, { overheadMs, responseMs }: TimeParts, metrics: Metrics): void {
  if (overheadMs !== undefined) metrics.overheads.observe({ door: kindOf(door) }, overheadMs / 1000)
  if (responseMs !== undefined) metrics.responses.observe({ connection: connection ?? '' }, responseMs / 1000)
}

function usedBy(caller: string, { connection = '', code, bytesIn, bytesOut }: Entry): Used {
  return { caller, connection, outcome: outcomeOf(code), bytesIn, bytesOut }
}

/** A refusal is the caller's or the operator's to mend; the rest has failed. */
function outcomeOf(code: string | undefined): CallerOutcome {
  if (code === undefined) return 'answered'
  const blame = blameOf(code)
  return blame === 'caller' || blame === 'operator' ? 'refused' : 'failed'
}

function blameOf(code: string | undefined): Blame {
  // The keys of the table are all the codes there are.
  return code !== undefined && code in problems ? problems[code as keyof typeof problems].blame : 'proxy'
}

type Measured = Pick<Entry, 'door' | 'connection' | 'status' | 'code' | 'totalMs'> & Partial<Pick<Entry, 'wouldRefuse'>>

function measure(entry: Measured, metrics: Metrics): void {
  const door = kindOf(entry.door)
  // Both are names from the settings: a caller cannot add a series.
  const connection = entry.connection ?? ''
  metrics.requests.inc({ door, connection, status: statusClass(entry.status) })
  metrics.durations.observe({ door, connection }, entry.totalMs / 1000)
  if (entry.code !== undefined) metrics.refusals.inc({ code: entry.code, connection })
  if (entry.wouldRefuse !== undefined) metrics.wouldRefuse.inc({ code: entry.wouldRefuse, connection })
}

/** Of a door's label, `forward 127.0.0.1:15001`. */
function kindOf(door: string): string {
  return door.split(' ', 1)[0] ?? ''
}

function statusClass(status: number | undefined): string {
  return status === undefined ? 'none' : `${Math.floor(status / 100)}xx`
}

const LEVELS: Readonly<Record<Blame, 'debug' | 'warn' | 'error'>> = {
  caller: 'debug',
  operator: 'warn',
  upstream: 'warn',
  proxy: 'error',
}

/** The cause goes here and nowhere else; the caller has the id to ask for it. */
function report(entry: Entry, failure: unknown, log: Logger): void {
  const problem = failure instanceof Problem ? failure : undefined
  const blame = blameOf(entry.code)
  const { id, door, caller, connection, code, reason } = entry
  const fields = {
    id,
    door,
    ...(caller && { caller }),
    ...(connection && { connection }),
    ...(code && { code }),
    ...(reason && { reason }),
  }
  const error = problem?.cause ?? (problem ? undefined : failure)
  log[LEVELS[blame]]({ ...fields, ...(error !== undefined && { error: describe(error) }) }, 'refused or failed')
}
