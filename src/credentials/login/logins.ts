import type { StoredLogin } from '../../core/holdings.ts'
import type { Secret } from '../../core/secret.ts'

/** Whose login: for which connection, and of whom, as its source tells them apart. */
export interface LoginPlace {
  readonly connection: string
  readonly identity: string
}

/** Where refresh tokens outlive a restart, sealed. Shared with other processes, which may do the same at the same time. */
export interface Logins {
  /** As it is known here. Never waits. */
  find(place: LoginPlace): StoredLogin | undefined
  /** Those of a connection, the oldest first. Never waits. */
  of(connection: string): readonly StoredLogin[]
  /** Undefined: there is none, or none that is alive. */
  open(place: LoginPlace): Promise<KeptLogin | undefined>
  /** Takes the place of the one before; with `ifAbsent` only where there was none, not even a dead one. */
  put(
    place: LoginPlace,
    content: Secret,
    facts: { readonly by: string; readonly expiresAt?: number | undefined; readonly ifAbsent?: boolean },
  ): Promise<StoredLogin>
  remove(place: LoginPlace): Promise<StoredLogin | undefined>
  /**
   * The right to spend it, which one has at a time among all processes: waits for the others, and then finds what they
   * have kept. Undefined: there is none that is alive.
   */
  lease(place: LoginPlace, holdMs: number): Promise<LoginLease | undefined>
}

/** `version` grows with each time that it is kept anew. */
export interface KeptLogin {
  readonly id: string
  readonly version: number
  readonly content: Secret
}

/** What is done with a login that was leased; each of them ends the lease. */
export interface LoginLease {
  readonly kept: KeptLogin
  /** How often this content was leased without anybody having seen what came of it, this time included. */
  readonly tries: number
  /** Durable when it resolves, with the new version; undefined: others have kept it anew, or taken it away. */
  keep(content: Secret, expiresAt?: number): Promise<number | undefined>
  /** `unspent`: it was not shown, or surely to no effect. `unknown`: nobody can tell. */
  release(outcome: 'unspent' | 'unknown'): Promise<void>
  /** It is taken no more. False: others have kept it anew meanwhile. */
  drop(): Promise<boolean>
}
