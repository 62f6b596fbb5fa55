import type { Entry } from '../audit/entry.ts'
import type { Identify } from '../callers/identify.ts'
import type { Recognize } from '../callers/recognize.ts'
import type { Clock } from '../core/clock.ts'
import type { Policy } from '../core/decide.ts'
import type { Problem } from '../core/problem.ts'
import type { Supply } from '../credentials/credential.ts'
import type { Injection } from '../injections/injection.ts'
import type { Upstream } from '../relay/upstream.ts'
import type { Tracing } from '../tracing/tracing.ts'
import type { Dialer } from '../wire/dial.ts'
import type { TimeParts } from './trace.ts'
import type { UnderWay } from './under-way.ts'

/** One connection, ready to be used. */
export interface Connection {
  readonly name: string
  /** Kind of its source, for the audit. */
  readonly source: string
  readonly supply: Supply
  /** Absent where nothing is injected. */
  readonly injection: Injection | undefined
  readonly upstream: Upstream
  /** Nothing of the credential may come back in an answer. */
  readonly scrubResponses: boolean
  readonly websocket: boolean
  /** What an unopened tunnel may carry: TLS for the host of CONNECT, or any bytes. */
  readonly tunnel: 'tls' | 'any'
  /** Whether the upstream learns of traces: yes, no, or as the caller has it. */
  readonly propagateTrace?: boolean | undefined
}

/** One configuration, whole and frozen. An ask sees the same one from start to end; a reload makes the next. */
export interface Snapshot {
  readonly policy: Policy
  readonly identify: Identify
  readonly recognize: Recognize
  readonly connections: ReadonlyMap<string, Connection>
  /** What report mode lets out goes by this one: plain HTTP, nothing injected, at whichever port was named. */
  readonly unlisted: Connection
}

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
