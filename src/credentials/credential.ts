import type { ProblemCode } from '../core/problem.ts'
import type { Purpose } from '../core/purpose.ts'
import type { LongLived, Secret } from '../core/secret.ts'
import type { DpopKey } from '../oauth/dpop.ts'
import type { LoginDesk } from './login/desk.ts'

/** What gets injected into a request. */
export interface Credential {
  readonly secret: Secret
  /** The user name that goes with it, for HTTP Basic. */
  readonly user?: string
  /** Ms since the epoch, for the readiness page and the audit. Absent: it does not expire by itself. */
  readonly expiresAt?: number
  /** Names which one it is and tells nothing of it: "secret 3" for a held one, "token 17" for a minted one. */
  readonly version: string
  /** Grows with each other credential of the same supply, and stays while the secret stays. */
  readonly generation: number
  /** The key that it is bound to: without a proof by that key it is worth nothing. */
  readonly boundTo?: DpopKey
  /** The long-lived secret behind it, for the audit; absent where there is none. */
  readonly behind?: LongLived
  /** False once what it rests on was taken back: then what was had for it counts no more, either. */
  readonly isGood?: (() => boolean) | undefined
  /** The token it was given in exchange for, and whom it acts as at the issuer; for the audit. */
  readonly lineage?: Lineage | undefined
}

/** Where an exchanged token comes from. */
export interface Lineage {
  /** Not long-lived, but named and fingerprinted like one. */
  readonly subject: LongLived
  /** The principal that a claim has chosen; absent where none is chosen. */
  readonly actsAs?: string | undefined
}

/** What a supply does just now, for the readiness page. Times are ms since the epoch. Holds no secret. */
export interface SupplyState {
  /**
   * `none`: nothing to inject; `held`: a long-lived secret; the others are a token's life: `absent`, `minting`, `fresh`,
   * `refreshing`, `stale` (still good, but the last refresh failed), `failed` (no token, and the last mint failed).
   */
  readonly phase: 'absent' | 'minting' | 'fresh' | 'refreshing' | 'stale' | 'failed' | 'held' | 'none'
  readonly mintedAt?: number
  readonly expiresAt?: number
  /** The last failure since the last success. `reason` is for operators. */
  readonly lastError?: { readonly code: ProblemCode; readonly reason: string; readonly at: number }
  /** Before this time nothing is asked of the issuer. */
  readonly nextAttemptAt?: number
  /** How many there are just now, where not everybody has the same; all else is then said of whoever asked last. */
  readonly separate?: number
}

/** Where the credential of one connection comes from, ready for use by any number of asks at once. */
export interface Supply {
  /**
   * Called for every ask. At once when there is a good credential; a promise while one is being minted, which asks
   * that wait together share. Never an expired one. `undefined`: there is nothing to inject (kind `none` alone).
   * `purpose`: absent where somebody looks whether there is one at all; who gives each caller its own has none then.
   * @throws Problem `credential-unavailable`, `credential-failed`, `login-required`, always as a rejected promise
   */
  obtain(purpose?: Purpose): Credential | undefined | Promise<Credential>
  /**
   * Called when an upstream answered 401 to this credential. Resolves to another one to replay with, or to undefined
   * when there is none that is better. Never rejects, and may be called again with the same credential.
   */
  rejected(credential: Credential, purpose?: Purpose): Promise<Credential | undefined>
  state(): SupplyState
  /** The same of each, where not everybody has the same one. */
  states?(): readonly SupplyState[]
  /** Where people log in for it; absent where nobody has to. */
  readonly desk?: LoginDesk
  /**
   * Who shares a credential with whom: asks with the same text do. Absent, or undefined: everybody does.
   * @throws Problem why there can be none for this ask
   */
  keyOf?(purpose: Purpose): string | undefined
}
