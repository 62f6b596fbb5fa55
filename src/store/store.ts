import type { Holdings, StoredCaller, StoredGrant, StoredKey, StoredSwitch } from '../core/holdings.ts'
import type { Secret } from '../core/secret.ts'
import type { AuditRows } from './audit-rows.ts'

/**
 * What outlives a restart. Every change is durable, and seen in `holdings`, before its promise resolves; other instances
 * on the same database see it within a second. Several may be made at once; each is whole or not made.
 */
export interface Store {
  /** The newest that is known here. Never waits: no request ever asks the database. */
  holdings(): Holdings
  /** Called after each change of `holdings`, whoever made it. Returns what ends the calls. */
  onChange(listener: (holdings: Holdings) => void): () => void
  /** When `holdings` was last known to be the newest; ms on the monotonic clock. Stands still while the store is lost. */
  confirmedAt(): number
  /** How it stands with the database, for metrics and for operators. */
  state(): StoreState

  /** @throws StoreError `taken` */
  addCaller(draft: Pick<StoredCaller, 'name' | 'createdBy'>, key: KeyDraft): Promise<StoredCaller>
  /** With its keys and its grants. @throws StoreError `missing` */
  removeCaller(name: string): Promise<RemovedCaller>
  /** The keys it had before are good until `othersUntil`. @throws StoreError `missing` */
  rotateKey(caller: string, key: KeyDraft, othersUntil: number): Promise<StoredKey>

  /** @throws StoreError `missing`: the caller was in the store, and somebody has just removed it */
  addGrant(draft: Omit<StoredGrant, 'id' | 'createdAt'>): Promise<StoredGrant>
  /** Those that were there; one that is gone already is not among them. */
  removeGrants(ids: readonly string[]): Promise<readonly StoredGrant[]>

  /** Idempotent: a second time changes the reason alone. */
  disable(connection: string, by: string, reason: string | undefined): Promise<StoredSwitch>
  /** False when it was on. */
  enable(connection: string): Promise<boolean>

  readonly secrets: SealedSecrets
  readonly audit: AuditRows
  close(): Promise<void>
}

/** `fault`: why it is lost, in words without a secret. */
export type StoreState = { readonly phase: 'confirmed' } | { readonly phase: 'lost'; readonly fault: string }

/** A caller that is gone, and the grants that went with it, whoever had made them. */
export interface RemovedCaller {
  readonly caller: StoredCaller
  readonly grants: readonly StoredGrant[]
}

/** A key to be added, by its digest. */
export type KeyDraft = Pick<StoredKey, 'digest' | 'expiresAt'>

/** Secrets under the store's own key. */
export interface SealedSecrets {
  /** All versions of those that have one in use. */
  list(): Promise<readonly SecretVersion[]>
  /** A new version, which is the one in use from then on; 1 for a new name. @throws StoreError `key` */
  put(name: string, secret: Secret, by: string): Promise<SecretVersion>
  /** There is none in use from then on. The next one of that name has the next version. @throws StoreError `missing` */
  remove(name: string): Promise<SecretVersion>
  /** The version in use. @throws StoreError `missing`, `key` */
  open(name: string): Promise<{ readonly secret: Secret; readonly version: number }>
  /** Called with the name after each change of a secret, whoever made it. Returns what ends the calls. */
  onChange(listener: (name: string) => void): () => void
}

/** One version of a secret, without it. */
export interface SecretVersion {
  readonly name: string
  readonly version: number
  readonly createdAt: number
  readonly createdBy: string
}

/**
 * Why the store did not do it. `taken`: the name is in use. `missing`: there is none of that name. `key`: there is no key
 * to seal with, or none that opens this. `lost`: no database; when the answer to a commit was lost, it may yet be done. `cursor`: it is none
 * that was given.
 */
export type StoreFault = 'taken' | 'missing' | 'key' | 'lost' | 'cursor'

/** Test for it by its stable code: `error instanceof StoreError && error.code === 'taken'`. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: StoreFault

  constructor(code: StoreFault, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
  }
}
