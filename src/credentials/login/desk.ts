import type { StoredLogin } from '../../core/holdings.ts'
import type { LoginPlace, RemovedLogin } from '../../core/login.ts'

/** `expiring`: it ends soon by itself, and nothing but another login helps against that. */
export type LoginState = 'needs-login' | 'ok' | 'expiring'

/** Where people log in for a connection. What is thrown is in words for them: no text of an issuer, and no secret. */
export interface LoginDesk {
  /** Whether one login serves all, or each caller needs its own. */
  readonly identity: 'shared' | 'per-caller'
  /** Whether whose login it is is said by the name of a caller: not where it serves all, or goes by a claim of their tokens. */
  readonly isByCaller: boolean
  /** Whose login is meant. @throws Problem where a caller is named and none is wanted, or the other way round */
  placeOf(caller: string | undefined): LoginPlace
  /** Begins one, which has to be finished within ten minutes. @throws Problem */
  begin(wish: LoginWish): Promise<LoginBegun>
  /** Whether a login with this state has been begun by this holder, and not been finished. */
  isOpen(state: string, holder: string): boolean
  /**
   * Finishes it, once: the answer of the authorization server as it came to the redirect URI. The login is durable when
   * this resolves. @throws Problem
   */
  finish(answer: URLSearchParams, by: LoginFinisher): Promise<StoredLogin>
  /**
   * Forgets the login of a caller, or of all. It is gone when this resolves, and what becomes of it at the authorization
   * server is not waited for. @throws Problem
   */
  logout(caller: string | undefined): Promise<LoggedOut | undefined>
  /** Tells the authorization server of a login that was taken away otherwise. */
  revoke(gone: RemovedLogin): Revoking
  /** How it stands with the login that this caller would ask with; undefined where that depends on the token it shows. */
  stateFor(caller: string): LoginState | undefined
  /** As they are known here; the oldest first. */
  list(): readonly ListedLogin[]
}

/** What a login is begun with. */
export interface LoginWish {
  readonly caller: string | undefined
  readonly redirectUri: string
  /** Whoever begins it: a browser by its cookie, or an operator. Nobody else can finish it. */
  readonly holder: string
}

/** `url`: where the browser is to go. `expiresAt`: ms since the epoch. */
export interface LoginBegun {
  readonly url: string
  readonly state: string
  readonly expiresAt: number
}

/** `holder`: as at the beginning. `by`: for the record. */
export interface LoginFinisher {
  readonly holder: string
  readonly by: string
}

/** One login as it is shown. `caller`: whose it is, unless it is everybody's. */
export interface ListedLogin {
  readonly caller: string | undefined
  readonly state: LoginState
  readonly login: StoredLogin
}

/** A login that is gone. */
export interface LoggedOut {
  readonly login: StoredLogin
  readonly revoking: Revoking
}

/** A revocation under way. Neither promise ever rejects. */
export interface Revoking {
  /** What has come of it in some seconds. */
  readonly first: Promise<Revocation>
  /** What has come of it at last: never `pending`. */
  readonly last: Promise<Revocation>
}

/** What has become, at its authorization server, of what was given for a login. @see RFC 7009 */
export interface Revocation {
  /**
   * `revoked`: it is worth nothing any more; `nothing`: nothing of it was left; `not-offered`: the server is not known to
   * revoke anything; `pending`: not yet, and it will be tried again; `failed`: it is as good as before, for whoever has it.
   */
  readonly outcome: 'revoked' | 'nothing' | 'not-offered' | 'pending' | 'failed'
  /** How often the server was asked. */
  readonly tries: number
  /** Why, or what is left of it, in our own words. */
  readonly reason?: string
}
