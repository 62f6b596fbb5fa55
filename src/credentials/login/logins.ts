import type { StoredLogin } from '../../core/holdings.ts'
import type { KeptLogin, LoginLease, LoginPlace, RemovedLogin } from '../../core/login.ts'
import type { Secret } from '../../core/secret.ts'

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
  /** Whatever becomes of what was kept of it. */
  remove(place: LoginPlace): Promise<RemovedLogin | undefined>
  /**
   * The right to spend it, which one has at a time among all processes: waits for the others, and then finds what they
   * have kept. Undefined: there is none that is alive.
   */
  lease(place: LoginPlace, holdMs: number): Promise<LoginLease | undefined>
}
