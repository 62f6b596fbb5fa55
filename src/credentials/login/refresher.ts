import type { Clock } from '../../core/clock.ts'
import type { KeptLogin, LoginLease, LoginPlace } from '../../core/login.ts'
import { Problem } from '../../core/problem.ts'
import type { Granted, TokenEndpoint } from '../../oauth/endpoint.ts'
import { IssuerRefusal, OutcomeUnseen } from '../../oauth/refusal.ts'
import type { Minted } from '../mint.ts'
import { mintedOf } from '../minted-of.ts'
import { isReached, lifeOf } from '../token-life.ts'
import type { LifetimeLimits } from '../token-lifetime.ts'
import { type LoginContent, packed, unpacked } from './content.ts'
import type { Logins } from './logins.ts'

/** What a refresher works with. */
export interface RefreshTerms {
  readonly place: LoginPlace
  readonly logins: Logins
  readonly endpoint: Pick<TokenEndpoint, 'metadata' | 'request'>
  readonly settings: LifetimeLimits & { readonly timeoutMs: number; readonly scope?: string | undefined }
  readonly clock: Clock
  /** Who gives them, and to which client, where it is known of each whose it is: what another gave is not shown to this one. */
  readonly of?: string
  /**
   * Told of what was got and nobody will keep: the login was taken away while it was on its way. `isReplaced`: somebody has
   * logged in there since.
   */
  orphaned?(content: LoginContent, isReplaced: boolean): void
  /** What it means that there is none, or that it is taken no more. */
  gone(reason: string): Problem
}

/** Beside the request itself: two writes to the store. */
const SPARE_MS = 2_000
/** By how much the clocks of two processes may differ. */
const CLOCK_SLACK_MS = 60_000
/**
 * A refresh token whose fate is not known is shown again until the issuer says what became of it. Where it was taken, and the
 * answer was lost, it is worth nothing from the second time on, and never less for a third; where the issuer was only
 * deaf for a while, whoever gives up has lost a login that was good. Seconds, and more of them each time.
 * @see RFC 9700 section 4.14.2
 */
const BEFORE_ANOTHER_TRY_S = 10
const LONGEST_BEFORE_TRY_S = 60

/** What was got and could not be kept: the store was lost just then. */
interface Unkept {
  readonly lease: LoginLease
  readonly content: LoginContent
  readonly expiresAt?: number | undefined
}

/** By place. Whoever is the next to refresh there has it: settings that are read again may have put another in the place of this one. */
const unkept = new WeakMap<Logins, Map<string, Unkept>>()

/** What was got last for a login that is gone, and never kept: whoever has it takes it away. */
export function takeUnkept(
  logins: Logins,
  { id, ...place }: LoginPlace & { readonly id: string },
): LoginContent | undefined {
  const [all, key] = [unkept.get(logins), keyOf(place)]
  const left = all?.get(key)
  if (left?.lease.kept.id !== id) return undefined
  all?.delete(key)
  return left.content
}

function keyOf({ connection, identity }: LoginPlace): string {
  return JSON.stringify([connection, identity])
}

/**
 * Gets tokens by the refresh token in one place, which it shares with other processes, and with others of its own. What they have got is used as long
 * as it is young; one spends at a time; and a token is used only once the refresh token that came with it is durable.
 */
export class Refresher {
  readonly #terms: RefreshTerms
  /** Which of those that are kept was given out here last: asked again, another one is wanted. */
  #last = ''
  readonly #unkept: Map<string, Unkept>
  readonly #key: string

  constructor(terms: RefreshTerms) {
    const { logins, place } = terms
    this.#terms = terms
    this.#key = keyOf(place)
    this.#unkept = unkept.get(logins) ?? new Map()
    unkept.set(logins, this.#unkept)
  }

  /** @throws Problem `credential-unavailable`, `credential-failed`, and what `gone` makes */
  async mint(): Promise<Minted> {
    const { place, logins, settings } = this.#terms
    const left = this.#unkept.get(this.#key)
    if (left) return this.#keep(left)
    const found = await ofStore(logins.open(place))
    const theirs = found && this.#adopt(found)
    if (theirs) return theirs
    const lease = found && (await ofStore(logins.lease(place, settings.timeoutMs + SPARE_MS)))
    if (!lease) throw this.#terms.gone('nobody has logged in, or the login is taken no more')
    const since = this.#adopt(lease.kept)
    if (!since) return this.#spend(lease)
    await ofStore(lease.release('unspent'))
    return since
  }

  /**
   * The token that others have got, unless it was given out here before, or is about to be refreshed anyway.
   * @throws what `gone` makes, of a login at another issuer, or of another client
   */
  #adopt({ id, version, content }: KeptLogin): Minted | undefined {
    const mark = `${id} ${version}`
    const { access, of } = unpacked(content)
    if (of !== undefined && this.#terms.of !== undefined && of !== this.#terms.of) throw this.#terms.gone(FOREIGN)
    if (!access || mark === this.#last) return undefined
    const now = { wall: this.#terms.clock.now(), monotonic: this.#terms.clock.monotonic() }
    // By a clock that is behind theirs, or was set back, nobody can say how old it is.
    if (access.sentAt - now.wall > CLOCK_SLACK_MS) return undefined
    const age = Math.max(0, now.wall - access.sentAt)
    const sentAt = { wall: now.wall - age, monotonic: now.monotonic - age }
    const minted = { secret: access.secret, sentAt, lifetimeMs: access.lifetimeMs }
    if (isReached(lifeOf(minted, 0).refreshFrom, now)) return undefined
    this.#last = mark
    return minted
  }

  async #spend(lease: LoginLease): Promise<Minted> {
    const { endpoint, settings } = this.#terms
    const before = unpacked(lease.kept.content)
    let granted: Granted
    try {
      // Before anything that is spent leaves.
      await endpoint.metadata().catch(notSent)
      const parameters = [['refresh_token', before.refreshToken.reveal()]] as const
      granted = await endpoint.request({ grantType: 'refresh_token', parameters })
    } catch (error) {
      return this.#failed(error, lease, before)
    }
    const { refreshToken, refreshExpiresIn } = granted
    const isSame = refreshToken === undefined || refreshToken.equals(before.refreshToken)
    const minted = mintedOf(granted, settings)
    const { secret, sentAt, lifetimeMs } = minted
    // What is bound to a key of this process is of use to no other.
    const access = minted.boundTo ? undefined : { secret, sentAt: sentAt.wall, lifetimeMs }
    const content = { refreshToken: refreshToken ?? before.refreshToken, access, isSteady: isSame, of: before.of }
    const expiresAt = refreshExpiresIn === undefined ? undefined : sentAt.wall + refreshExpiresIn * 1000
    return this.#keep({ lease, content, expiresAt }, minted)
  }

  /** Durable first, and only then given out. */
  async #keep(got: Unkept, minted?: Minted): Promise<Minted> {
    const { lease, content, expiresAt } = got
    this.#unkept.set(this.#key, got)
    const { place, logins } = this.#terms
    const version = await ofStore(lease.keep(packed(content), expiresAt))
    if (this.#unkept.get(this.#key) === got) this.#unkept.delete(this.#key)
    if (version !== undefined && minted) {
      this.#last = `${lease.kept.id} ${version}`
      return minted
    }
    const newest = await ofStore(logins.open(place))
    // One that is there by another id is another login. Of the same, others have got what is better than this.
    const isKept = version !== undefined
    if (!isKept && newest?.id !== lease.kept.id) this.#terms.orphaned?.(content, newest !== undefined)
    const theirs = newest && this.#adopt(newest)
    if (theirs) return theirs
    if (!newest) throw this.#terms.gone('it was taken away while it was in use')
    throw new Problem('credential-unavailable', { reason: 'others have refreshed it meanwhile', retryAfter: 1 })
  }

  async #failed(error: unknown, lease: LoginLease, { isSteady }: LoginContent): Promise<never> {
    if (error instanceof IssuerRefusal && error.error === 'invalid_grant') return this.#give(lease, error.reason)
    if (isSteady || !mayBeDone(error)) {
      await ofStore(lease.release('unspent'))
      throw error instanceof NotSent ? error.cause : error
    }
    const reason = error instanceof Problem ? error.reason : 'the refresh failed in a way nobody foresaw'
    await ofStore(lease.release('unknown'))
    throw new Problem('credential-unavailable', {
      reason: `${reason}: whether it took the refresh token is not known, so it is shown again`,
      retryAfter: Math.min(BEFORE_ANOTHER_TRY_S * lease.tries, LONGEST_BEFORE_TRY_S),
      cause: error,
    })
  }

  /** Unless others have something newer. */
  async #give(lease: LoginLease, reason: string): Promise<never> {
    if (await ofStore(lease.drop())) throw this.#terms.gone(reason)
    throw new Problem('credential-unavailable', { reason: 'others have refreshed it meanwhile', retryAfter: 1 })
  }
}

/** Why a login is not used, and not shown to anybody. */
export const FOREIGN = 'the login is one at another issuer, or of another client, than the settings name now'

/** What failed before anything that is spent has left. */
class NotSent extends Error {}

function notSent(cause: unknown): never {
  throw new NotSent('not sent', { cause })
}

/** A refusal, a "not now", and a way that never got there leave the refresh token what it was. */
function mayBeDone(error: unknown): boolean {
  return error instanceof OutcomeUnseen || !(error instanceof Problem || error instanceof NotSent)
}

/** What the store fails at, as a problem of the credential. Its messages are in our own words. */
export async function ofStore<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked
  } catch (cause) {
    if (cause instanceof Problem || !(cause instanceof Error)) throw cause
    const isKey = 'code' in cause && cause.code === 'key'
    throw new Problem(isKey ? 'credential-failed' : 'credential-unavailable', { reason: cause.message, cause })
  }
}
