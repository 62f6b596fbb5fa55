import type { StoredLogin } from './holdings.ts'
import type { Secret } from './secret.ts'

/** Whose login: for which connection, and of whom, as the source of that connection tells them apart. */
export interface LoginPlace {
  readonly connection: string
  readonly identity: string
}

/** What is kept of one login, unsealed. `version` grows with each time that it is kept anew. */
export interface KeptLogin {
  readonly id: string
  readonly version: number
  readonly content: Secret
}

/** A login that was taken away. `content`: what was kept of it; undefined where that was nothing, or nobody can open it. */
export interface RemovedLogin {
  readonly login: StoredLogin
  readonly content: Secret | undefined
}

/** What is done with a login that was leased; each of them ends the lease. */
export interface LoginLease {
  readonly kept: KeptLogin
  /** How often this content was leased without anybody having seen what came of it, this time included. */
  readonly tries: number
  /** Durable when it resolves, with the new version; undefined: it was kept anew or taken away by others meanwhile. May be called again when it was lost. */
  keep(content: Secret, expiresAt?: number): Promise<number | undefined>
  /** `unspent`: it was not shown, or surely to no effect. `unknown`: nobody can tell. */
  release(outcome: 'unspent' | 'unknown'): Promise<void>
  /** It is taken no more: it is dropped, and only that there was one is kept. False: others have kept it anew meanwhile. */
  drop(): Promise<boolean>
}
