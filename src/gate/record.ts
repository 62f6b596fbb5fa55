import type { Entry } from '../audit/entry.ts'
import type { Sink } from '../audit/sink.ts'
import { Problem } from '../core/problem.ts'
import type { Blame } from '../core/problem-row.ts'
import { problems } from '../core/problems.ts'
import { describe, type Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'

interface Ears {
  readonly sinks: readonly Sink[]
  readonly metrics: Metrics
  readonly log: Logger
}

/** Tells the audit, the metrics and the log of one ask that is over. A sink that fails keeps nobody else from hearing. */
export function createRecorder({ sinks, metrics, log }: Ears): (entry: Entry, failure: unknown) => void {
  return function record(entry, failure) {
    for (const sink of sinks) writeTo(sink, entry, log)
    measure(entry, metrics)
    if (failure !== undefined || entry.code !== undefined) report(entry, failure, log)
  }
}

function writeTo(sink: Sink, entry: Entry, log: Logger): void {
  try {
    sink.write(entry)
  } catch (error) {
    log.error({ id: entry.id, error: describe(error) }, 'an audit entry could not be written')
  }
}

function measure(entry: Entry, metrics: Metrics): void {
  const door = entry.door.split(' ', 1)[0] ?? ''
  // Both are names from the settings: a caller cannot add a series.
  const connection = entry.connection ?? ''
  metrics.requests.inc({ door, connection, status: statusClass(entry.status) })
  metrics.durations.observe({ door, connection }, entry.totalMs / 1000)
  if (entry.code !== undefined) metrics.refusals.inc({ code: entry.code, connection })
  if (entry.wouldRefuse !== undefined) metrics.wouldRefuse.inc({ code: entry.wouldRefuse, connection })
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
  const blame =
    entry.code !== undefined && entry.code in problems ? problems[entry.code as keyof typeof problems].blame : 'proxy'
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
