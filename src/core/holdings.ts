import type { Holder } from './grants.ts'
import type { Rule } from './rule.ts'

/** Who may use what, as operators have said it while Sallyport runs: what is in the store, whole and frozen. */
export interface Holdings {
  /** Grows with every change, on whichever instance it was made. */
  readonly revision: number
  readonly callers: readonly StoredCaller[]
  readonly grants: readonly StoredGrant[]
  readonly switches: readonly StoredSwitch[]
  readonly logins: readonly StoredLogin[]
}

/** A caller that an operator added. Its keys are known by their digests alone. Times in ms since the epoch. */
export interface StoredCaller {
  readonly name: string
  readonly createdAt: number
  readonly createdBy: string
  readonly keys: readonly StoredKey[]
}

/** One key of such a caller. */
export interface StoredKey {
  readonly id: string
  /** SHA-256 of the key, 64 lower-case hex digits. */
  readonly digest: string
  readonly createdAt: number
  /** Proves nobody from this very millisecond on; a rotated key may stay good for a while. */
  readonly expiresAt: number | undefined
}

/** A grant that an operator made. */
export interface StoredGrant {
  readonly id: string
  readonly holder: Holder
  readonly connection: string
  /** Empty: everything is granted. `UNREADABLE`: nobody knows what is. */
  readonly rules: readonly Rule[]
  /** Refused from this very millisecond on. */
  readonly until: number | undefined
  readonly createdAt: number
  readonly createdBy: string
}

/** Rules that a newer version wrote, or somebody who tampered with the store. They are never to be compiled; as they stand they match nothing. */
export const UNREADABLE: readonly Rule[] = Object.freeze([Object.freeze({ methods: Object.freeze([]) })])

/** A connection that an operator switched off. */
export interface StoredSwitch {
  readonly connection: string
  readonly at: number
  readonly by: string
  readonly reason: string | undefined
}

/** Somebody's consent at an authorization server. What was given for it is sealed in the store, and not in here. */
export interface StoredLogin {
  /** Another one at each login. */
  readonly id: string
  readonly connection: string
  /** Whose it is, as the source of the connection tells them apart. */
  readonly identity: string
  /** False: the authorization server takes it no more, and only another login helps. */
  readonly isAlive: boolean
  /** When it ends by itself, where the authorization server has said so. */
  readonly expiresAt: number | undefined
  readonly createdAt: number
  readonly createdBy: string
}

/** Whose a login is that one caller alone has, as `StoredLogin.identity` says it. */
export function identityOfCaller(name: string): string {
  return `caller:${name}`
}

/** No store, or nothing in it. */
export const NO_HOLDINGS: Holdings = Object.freeze({ revision: 0, callers: [], grants: [], switches: [], logins: [] })
