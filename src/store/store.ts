import type { Holdings, StoredCaller, StoredGrant, StoredKey, StoredLogin, StoredSwitch } from '../core/holdings.ts'
import type { KeptLogin, LoginLease, LoginPlace, RemovedLogin } from '../core/login.ts'
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

  /** It has no logins, whoever was called so before. @throws StoreError `taken` */
  addCaller(draft: Pick<StoredCaller, 'name' | 'createdBy'>, key: KeyDraft): Promise<StoredCaller>
  /** With its keys, its grants and its logins. @throws StoreError `missing` */
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
  readonly logins: SealedLogins
  readonly audit: AuditRows
  close(): Promise<void>
}

/** `fault`: why it is lost, in words without a secret. */
export type StoreState = { readonly phase: 'confirmed' } | { readonly phase: 'lost'; readonly fault: string }

/** A caller that is gone, and what went with it, whoever had made it: its grants, and logins of its own. */
export interface RemovedCaller {
  readonly caller: StoredCaller
  readonly grants: readonly StoredGrant[]
  readonly logins: readonly RemovedLogin[]
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

/** Refresh tokens, and what came with them, under the store's own key. Who holds a version has the newest there is. */
export interface SealedLogins {
  /** As it is known here. Never waits. */
  find(place: LoginPlace): StoredLogin | undefined
  /** Those of a connection, as they are known here; the oldest first. */
  of(connection: string): readonly StoredLogin[]
  /** Undefined: there is none, or none that is alive. @throws StoreError `key`, `lost` */
  open(place: LoginPlace): Promise<KeptLogin | undefined>
  /** Takes the place of the one before; with `ifAbsent` only where there was none, not even a dead one. @throws StoreError `key`, `lost` */
  put(place: LoginPlace, content: Secret, facts: LoginFacts): Promise<StoredLogin>
  /** The one that was there, with what was kept of it, where that can be opened. @throws StoreError `lost` */
  remove(place: LoginPlace): Promise<RemovedLogin | undefined>
  /**
   * The right to spend it, which one has at a time among all processes: waits for the others, and then finds what they
   * have kept. Who does not end within `holdMs` has it no more. Undefined: there is none that is alive.
   * @throws StoreError `key`, `lost`
   */
  lease(place: LoginPlace, holdMs: number): Promise<LoginLease | undefined>
}

/** `by`: who has logged in. `expiresAt`: when it ends by itself, where that was told; ms since the epoch. */
export interface LoginFacts {
  readonly by: string
  readonly expiresAt?: number | undefined
  readonly ifAbsent?: boolean
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
