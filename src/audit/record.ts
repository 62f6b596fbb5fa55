import type { AuditHead } from '../core/audit-line.ts'
import type { Change } from './change.ts'
import type { Entry } from './entry.ts'

/** What the audit writes down, before it is chained. */
export type AuditRecord =
  | { readonly kind: 'ask'; readonly body: Entry }
  | { readonly kind: 'change'; readonly body: Change }
  | { readonly kind: 'start'; readonly body: Start }
  | { readonly kind: 'checkpoint'; readonly body: Checkpoint }
  | { readonly kind: 'gap'; readonly body: Gap }

/** The first line of each run. */
export interface Start {
  /** ISO 8601 */
  readonly time: string
  /** Which settings it starts with, by the digest that a change `settings.reload` has, too. */
  readonly settingsDigest: string
  /** The last line of this instance that is known anywhere, so that a run or a tail that is gone is missed. */
  readonly after: AuditHead | undefined
  /** How far apart checkpoints are at most, and the thumbprint of the key that signs them; absent where nothing signs. */
  readonly checkpointEveryMs: number | undefined
  readonly checkpointKey: string | undefined
}

/** Vouches for every line up to the one before it. */
export interface Checkpoint {
  readonly time: string
  readonly covers: Pick<AuditHead, 'seq' | 'hash'>
  /** Thumbprint of the public key. @see RFC 7638, RFC 8037 */
  readonly key: string
  /** Ed25519, base64url. */
  readonly signature: string
}

/** What a sink could not take and was told to drop: these lines are missing there, and nobody took them out. */
export interface Gap {
  readonly time: string
  readonly sink: string
  readonly run: string
  readonly from: number
  readonly to: number
}
