import type { StoredLogin } from '../../core/holdings.ts'
import type { LoginPlace } from '../../core/login.ts'

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
  /** Forgets the login of a caller, or of all. @throws Problem */
  logout(caller: string | undefined): Promise<StoredLogin | undefined>
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
