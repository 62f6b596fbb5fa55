import type { Entry } from '../audit/entry.ts'
import type { Clock } from '../core/clock.ts'
import type { Problem } from '../core/problem.ts'
import type { Tracing } from '../tracing/tracing.ts'
import type { Dialer } from '../wire/dial.ts'
import type { Snapshot } from './snapshot.ts'
import type { TimeParts } from './trace.ts'
import type { UnderWay } from './under-way.ts'

/** What the path of an ask is joined to. */
export interface Gate {
  readonly clock: Clock
  readonly dialer: Dialer
  /** What this process calls itself in Via; a request that has it has been here before. */
  readonly pseudonym: string
  /** Keys the fingerprints of credentials in the audit. */
  readonly fingerprintKey: Buffer
  /** Absent where the settings have no traces. */
  readonly tracing?: Tracing | undefined
  snapshot(): Snapshot
  /** Tell it of every change: `underWay.policyChanged()`, once `snapshot` gives the new one. */
  readonly underWay: UnderWay
  /** Exactly once for each ask. Must not throw. */
  record(entry: Entry, failure: unknown, parts: TimeParts): void
  /** Asked before anything is done for an ask: why it must not even begin. Whoever is asked counts and logs it. */
  unrecordable(asked: Pick<Entry, 'id' | 'door'>): Problem | undefined
}
