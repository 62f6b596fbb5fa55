import type { Clock } from '../../core/clock.ts'
import type { StoredLogin } from '../../core/holdings.ts'
import type { LoginPlace, RemovedLogin } from '../../core/login.ts'
import { Problem } from '../../core/problem.ts'
import { type Secret, sha256 } from '../../core/secret.ts'
import { authorizationRequest, codeIn } from '../../oauth/authorization.ts'
import type { AuthorizationServer } from '../../oauth/discovery.ts'
import type { TokenEndpoint } from '../../oauth/endpoint.ts'
import { mintedOf } from '../minted-of.ts'
import type { LifetimeLimits } from '../token-lifetime.ts'
import { packed, unpacked } from './content.ts'
import type {
  ListedLogin,
  LoggedOut,
  LoginBegun,
  LoginDesk,
  LoginFinisher,
  LoginState,
  LoginWish,
  Revoking,
} from './desk.ts'
import { callerOf, type IdentitySettings, identityFor } from './identity.ts'
import type { Logins } from './logins.ts'
import { FOREIGN, ofStore, takeUnkept } from './refresher.ts'
import type { Revoker } from './revoker.ts'

/** What a desk works with. */
export interface DeskTerms {
  readonly connection: string
  readonly endpoint: Pick<TokenEndpoint, 'metadata' | 'request'>
  readonly logins: Logins | undefined
  readonly clock: Clock
  readonly revoker: Revoker
  /** The token that is given out for a login just now, or was until it was taken away. */
  held(identity: string): Secret | undefined
  /** Who gives the tokens, and to which client. */
  readonly of: string
  readonly settings: LifetimeLimits & {
    readonly clientId: string
    readonly issuer?: string | undefined
    readonly authorizationEndpoint?: string | undefined
    readonly authorizationParams: Readonly<Record<string, string>>
    readonly scope?: string | undefined
    readonly identity: IdentitySettings
    readonly unsafeAllowPlaintextIssuer: boolean
  }
}

/** A login that has been begun. */
interface Pending {
  readonly holder: string
  readonly place: LoginPlace
  readonly redirectUri: string
  readonly verifier: Secret
  readonly server: AuthorizationServer
  /** On the monotonic clock. */
  readonly until: number
}

const PENDING_MS = 600_000
/** After an issuer has not said where it is, it is not asked again. */
const PAUSE_MS = 1_000
/** At once; the oldest goes first. */
const MAX_PENDING = 1_000
/** Of one caller at once: one that begins many must not end those of others. */
const MAX_OF_ONE = 20
/** A login is about to end in the last tenth of its life, and in its last three days at most. */
const EXPIRING_SHARE = 0.1
const EXPIRING_MS = 259_200_000

/** Logs people in by the code that an authorization server sends their browser back with. @see RFC 6749 section 4.1 */
export class CodeDesk implements LoginDesk {
  readonly #terms: DeskTerms
  readonly #pending = new Map<string, Pending>()
  /** The last answer of the issuer, while it is on its way, and for a moment where it was none. */
  #asked: Promise<AuthorizationServer> | undefined

  constructor(terms: DeskTerms) {
    this.#terms = terms
  }

  get identity(): 'shared' | 'per-caller' {
    return this.#terms.settings.identity === 'shared' ? 'shared' : 'per-caller'
  }

  get isByCaller(): boolean {
    return this.#terms.settings.identity === 'per-caller'
  }

  placeOf(caller: string | undefined): LoginPlace {
    const { connection, settings } = this.#terms
    return { connection, identity: identityFor(caller, settings.identity) }
  }

  async begin({ caller, redirectUri, holder }: LoginWish): Promise<LoginBegun> {
    const { settings, clock } = this.#terms
    const place = this.placeOf(caller)
    const server = await this.#server()
    const { url, state, verifier } = authorizationRequest({
      server,
      clientId: settings.clientId,
      redirectUri,
      scope: settings.scope,
      parameters: settings.authorizationParams,
      plaintext: settings.unsafeAllowPlaintextIssuer,
    })
    this.#forgetOld(place)
    this.#pending.set(state, { holder, place, redirectUri, verifier, server, until: clock.monotonic() + PENDING_MS })
    return { url, state, expiresAt: clock.now() + PENDING_MS }
  }

  async #server(): Promise<AuthorizationServer> {
    const { endpoint, settings } = this.#terms
    this.#asked ??= endpoint.metadata().then(
      (found) => {
        this.#asked = undefined
        return found
      },
      (error) => {
        // Whoever has a link may come as often as it likes.
        setTimeout(() => (this.#asked = undefined), PAUSE_MS).unref()
        throw error
      },
    )
    const server = await this.#asked
    const { authorizationEndpoint } = settings
    return authorizationEndpoint === undefined ? server : { ...server, authorization_endpoint: authorizationEndpoint }
  }

  #forgetOld({ identity }: LoginPlace): void {
    const now = this.#terms.clock.monotonic()
    const own = [...this.#pending].filter(([, { place }]) => place.identity === identity)
    if (own.length >= MAX_OF_ONE && own[0]) this.#pending.delete(own[0][0])
    for (const [state, { until }] of this.#pending) {
      if (until > now && this.#pending.size < MAX_PENDING) return
      this.#pending.delete(state)
    }
  }

  isOpen(state: string, holder: string): boolean {
    const pending = this.#pending.get(state)
    return pending !== undefined && pending.until > this.#terms.clock.monotonic() && isSame(pending.holder, holder)
  }

  async finish(answer: URLSearchParams, { holder, by }: LoginFinisher): Promise<StoredLogin> {
    const [state = '', ...others] = answer.getAll('state')
    const pending = this.#pending.get(state)
    if (!pending || others.length > 0 || !this.isOpen(state, holder)) throw failed(NOT_BEGUN)
    // Whatever comes of it: a state, like a code, is good for one time.
    this.#pending.delete(state)
    const { settings } = this.#terms
    const code = codeIn(answer, { ...pending, issuer: settings.issuer })
    return this.#redeem(code, pending, by)
  }

  async #redeem(code: Secret, { place, redirectUri, verifier }: Pending, by: string): Promise<StoredLogin> {
    const { endpoint, logins, settings, of } = this.#terms
    if (!logins) throw failed('there is no store open here to keep a login in')
    const parameters = [
      ['code', code.reveal()],
      ['redirect_uri', redirectUri],
      ['code_verifier', verifier.reveal()],
    ] as const
    const granted = await endpoint.request({ grantType: 'authorization_code', parameters })
    const { refreshToken, refreshExpiresIn } = granted
    // It would work until the token ends, and then fail for everybody, at night.
    if (!refreshToken) throw failed(NO_REFRESH_TOKEN)
    const { secret, sentAt, lifetimeMs, boundTo } = mintedOf(granted, settings)
    const access = boundTo ? undefined : { secret, sentAt: sentAt.wall, lifetimeMs }
    const expiresAt = refreshExpiresIn === undefined ? undefined : sentAt.wall + refreshExpiresIn * 1000
    return ofStore(logins.put(place, packed({ refreshToken, access, isSteady: false, of }), { by, expiresAt }))
  }

  async logout(caller: string | undefined): Promise<LoggedOut | undefined> {
    const place = this.placeOf(caller)
    const gone = this.#terms.logins && (await ofStore(this.#terms.logins.remove(place)))
    return gone && { login: gone.login, revoking: this.revoke(gone) }
  }

  revoke({ login, content }: RemovedLogin): Revoking {
    const { revoker, of, held, logins } = this.#terms
    if (login.isAlive && !content) return revoker.refuse(login, UNREADABLE)
    const kept = content && unpacked(content)
    // What another gave is not shown to this one, not even to be rid of it.
    if (kept?.of !== undefined && kept.of !== of) return revoker.refuse(login, FOREIGN)
    // What was refreshed while the store was lost is newer: the one that is kept was spent for it.
    const late = logins && takeUnkept(logins, login)
    const accessTokens = [late?.access?.secret, kept?.access?.secret, held(login.identity)]
    return revoker.begin(login, { refreshToken: late?.refreshToken ?? kept?.refreshToken, accessTokens })
  }

  stateFor(caller: string): LoginState | undefined {
    const { logins, settings, clock } = this.#terms
    if (typeof settings.identity === 'object') return undefined
    const place = this.placeOf(settings.identity === 'shared' ? undefined : caller)
    return loginState(logins?.find(place), clock.now())
  }

  list(): readonly ListedLogin[] {
    const { logins, connection, settings, clock } = this.#terms
    return (logins?.of(connection) ?? []).flatMap((login) => {
      const caller = callerOf(login.identity, settings.identity)
      const isOurs = caller === undefined ? settings.identity === 'shared' && login.identity === 'shared' : true
      return isOurs ? [{ caller, login, state: loginState(login, clock.now()) }] : []
    })
  }
}

/** How it stands with a login. `now`: ms since the epoch. */
export function loginState(login: StoredLogin | undefined, now: number): LoginState {
  if (!login?.isAlive) return 'needs-login'
  const { expiresAt, createdAt } = login
  if (expiresAt === undefined) return 'ok'
  if (expiresAt <= now) return 'needs-login'
  const warned = Math.min(EXPIRING_MS, (expiresAt - createdAt) * EXPIRING_SHARE)
  return expiresAt - now <= warned ? 'expiring' : 'ok'
}

const UNREADABLE =
  'what was kept of the login is sealed under another key than "store.key", or was changed by somebody else'

function isSame(one: string, other: string): boolean {
  return sha256(one).equals(sha256(other))
}

function failed(reason: string): Problem {
  return new Problem('credential-failed', { reason })
}

const NOT_BEGUN =
  'no such login was begun here by you, or it was finished already, or more than ten minutes ago: begin anew'
const NO_REFRESH_TOKEN =
  'the issuer gave a token and no refresh token, so that this would work for an hour and then fail: ask for one, by `scope: ... offline_access`, or at Google by `authorizationParams: { access_type: offline, prompt: consent }`, allow the client the grant type refresh_token there (GitHub: let user tokens of the app expire; Slack: turn token rotation on), and log in again'
