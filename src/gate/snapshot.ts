import type { Identify } from '../callers/identify.ts'
import type { Recognize } from '../callers/recognize.ts'
import type { Policy } from '../core/policy.ts'
import type { Supply } from '../credentials/credential.ts'
import type { Injection } from '../injections/injection.ts'
import type { Upstream } from '../relay/upstream.ts'

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
