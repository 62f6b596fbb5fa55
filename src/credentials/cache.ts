import type { Clock } from '../core/clock.ts'
import type { Moment } from '../core/moment.ts'
import { Problem, type ProblemCode } from '../core/problem.ts'
import type { Purpose } from '../core/purpose.ts'
import type { Secret } from '../core/secret.ts'
import { delayAfter } from './backoff.ts'
import type { Credential, Supply, SupplyState } from './credential.ts'
import { isLasting, type Mint, type MintEvent, type Minted } from './mint.ts'
import { isReached, lifeOf, lifeOfSame, type TokenLife } from './token-life.ts'

const REJECTION_SPACING_MS = 10_000

/** What a supply of minted tokens is made of. */
export interface Mintage {
  readonly mint: Mint
  readonly clock: Clock
  /** From 0 up to but not including 1. */
  random(): number
  /** The version of the long-lived secret that a mint would spend now. A new one ends the memory of a lasting failure. */
  secretVersion(): number
  onMint?: ((event: MintEvent) => void) | undefined
}

interface Token {
  readonly credential: Credential
  readonly life: TokenLife
  readonly mintedAt: number
  readonly isGood: (() => boolean) | undefined
}

interface Setback {
  readonly problem: Problem
  readonly count: number
  readonly secretVersion: number
  /** On the wall clock, for display. */
  readonly at: number
  /** On the monotonic clock. */
  readonly until: number
}

/**
 * Keeps one token, and gets the next one in time.
 *
 *     absent ─▶ minting ─▶ fresh ─▶ refreshing ─▶ fresh
 *       ▲          │                    │
 *       │          ▼                    ▼
 *       │        failed ◀─(expiry)─── stale: serves until its true expiry
 *       └─(rejected by the upstream: exactly that generation is gone, and back only if no other can be had)
 *
 * There are no timers: each `obtain` moves it on. A mint flies alone and belongs to nobody, so a caller who hangs up
 * cancels nothing for the others. Every wait is counted on the monotonic clock.
 */
export class MintedSupply implements Supply {
  readonly #from: Mintage
  #token: Token | undefined
  #flight: Promise<Credential> | undefined
  #setback: Setback | undefined
  #generation = 0
  #rejectionMintAt = Number.NEGATIVE_INFINITY
  /** Grows when what is held, and what is on its way, is to be forgotten. */
  #era = 0

  constructor(from: Mintage) {
    this.#from = from
  }

  obtain(purpose?: Purpose): Credential | Promise<Credential> {
    const token = this.#usableToken()
    if (!token) return this.#flight ?? this.#mintUnlessPaused(purpose)
    if (isReached(token.life.refreshFrom, this.#now()) && !this.#flight && !this.#isPaused())
      void this.#startFlight(purpose)
    return token.credential
  }

  async rejected(credential: Credential, purpose?: Purpose): Promise<Credential | undefined> {
    const token = this.#usableToken()
    const isCurrent = token?.credential.generation === credential.generation
    if (isCurrent && !this.#invalidate()) return undefined
    try {
      const other = await this.obtain(purpose)
      // An issuer with a cache of its own may give out the rejected text once more.
      return other.secret.equals(credential.secret) ? undefined : other
    } catch (error) {
      // The failed mint has been reported; whoever asks is about the upstream's 401. Where both upstream and issuer have
      // said no, everybody had better be told where to log in than meet that 401 until the token ends.
      if (isCurrent && !needsLogin(error)) this.#putBack(token)
      return undefined
    }
  }

  /** One caller's 401 must not take the token from all others while the issuer is down: the upstream may still like it. */
  #putBack(token: Token): void {
    if (this.#isUsable(token)) this.#token ??= token
  }

  /** What it rests on has been taken back, or is another: neither the token, nor a failure, nor what is on its way counts. */
  forget(): void {
    this.#era += 1
    this.#token = undefined
    this.#setback = undefined
    this.#flight = undefined
  }

  /** The text of the token that is held, whether or not it may still be used. */
  held(): Secret | undefined {
    return this.#token?.credential.secret
  }

  state(): SupplyState {
    const token = this.#usableToken()
    const setback = this.#setback
    return {
      phase: this.#phase(token),
      ...(token && { mintedAt: token.mintedAt }),
      ...(token?.credential.expiresAt !== undefined && { expiresAt: token.credential.expiresAt }),
      ...(setback && { lastError: { code: setback.problem.code, reason: setback.problem.reason, at: setback.at } }),
      ...(setback && this.#isPaused() && { nextAttemptAt: this.#now().wall + this.#pauseLeft(setback) }),
    }
  }

  #phase(token: Token | undefined): SupplyState['phase'] {
    if (this.#flight) return token ? 'refreshing' : 'minting'
    if (token) return this.#setback ? 'stale' : 'fresh'
    return this.#setback ? 'failed' : 'absent'
  }

  /** The token if it may still be used; one that may not is forgotten here. */
  #usableToken(): Token | undefined {
    if (this.#token && !this.#isUsable(this.#token)) this.#token = undefined
    return this.#token
  }

  #isUsable({ life, isGood }: Token): boolean {
    return !isReached(life.usableUntil, this.#now()) && (isGood?.() ?? true)
  }

  #mintUnlessPaused(purpose: Purpose | undefined): Promise<Credential> {
    if (this.#setback && this.#isPaused()) return Promise.reject(this.#refusal(this.#setback))
    return this.#startFlight(purpose)
  }

  /**
   * Drops the token, so that a mint or the flight under way brings another one. False: it stays. An upstream that
   * says 401 to everything must neither cause a storm of mints nor take the token from all others while none can be had.
   */
  #invalidate(): boolean {
    const { monotonic } = this.#now()
    const isLeftAlone = this.#isPaused() && !needsLogin(this.#setback?.problem)
    if (isLeftAlone || monotonic - this.#rejectionMintAt < REJECTION_SPACING_MS) return false
    this.#rejectionMintAt = monotonic
    this.#token = undefined
    return true
  }

  #startFlight(purpose: Purpose | undefined): Promise<Credential> {
    const flight = this.#fly(purpose).finally(() => {
      if (this.#flight === flight) this.#flight = undefined
    })
    // A refresh has nobody waiting for it; the setback is what remains of its failure.
    flight.catch(() => undefined)
    this.#flight = flight
    return flight
  }

  async #fly(purpose: Purpose | undefined): Promise<Credential> {
    const startedAt = this.#now().monotonic
    const era = this.#era
    const secretVersion = this.#from.secretVersion()
    try {
      const minted = await this.#from.mint(purpose)
      if (era !== this.#era) throw new Problem('credential-unavailable', FORGOTTEN)
      const { credential } = this.#accept(minted)
      const { version, secret } = credential
      this.#report({ outcome: 'ok', version, secret, warnings: minted.warnings ?? [] }, startedAt)
      return credential
    } catch (error) {
      if (era !== this.#era || isToldElsewhere(error)) throw asMintProblem(error)
      const setback = this.#remember(asMintProblem(error), secretVersion)
      this.#report({ outcome: 'failed', problem: setback.problem }, startedAt)
      throw this.#refusal(setback)
    }
  }

  #accept(minted: Minted): Token {
    const now = this.#now()
    const life = lifeOf(minted, this.#from.random())
    // Serving it would be serving an expired one, and asking again at once would end the same way.
    if (isReached(life.usableUntil, now)) throw new Problem('credential-failed', EXPIRED_ON_ARRIVAL)
    const before = this.#usableToken()
    const isSame = before?.credential.secret.equals(minted.secret) ?? false
    if (!isSame) this.#generation += 1
    this.#token = {
      credential: credentialOf(minted, this.#generation),
      life: isSame ? lifeOfSame(life, now) : life,
      mintedAt: minted.sentAt.wall,
      isGood: minted.isGood,
    }
    this.#setback = undefined
    return this.#token
  }

  #remember(problem: Problem, secretVersion: number): Setback {
    const now = this.#now()
    const lasts = isLasting(problem)
    const before = this.#setback
    const isMore = before?.secretVersion === secretVersion && isLasting(before.problem) === lasts
    const count = isMore ? before.count + 1 : 1
    const retryAfterMs = (problem.retryAfter ?? 0) * 1000
    const delay = delayAfter({ count, isLasting: lasts, retryAfterMs, random: this.#from.random() })
    this.#setback = { problem, count, secretVersion, at: now.wall, until: now.monotonic + delay }
    return this.#setback
  }

  #isPaused(): boolean {
    const setback = this.#setback
    if (!setback || this.#pauseLeft(setback) <= 0) return false
    return !isLasting(setback.problem) || setback.secretVersion === this.#from.secretVersion()
  }

  #pauseLeft({ until }: Setback): number {
    return until - this.#now().monotonic
  }

  /** The failure as it is told now: with the time that is left. */
  #refusal(setback: Setback): Problem {
    const { code, reason, cause } = setback.problem
    const wait = Math.max(1, Math.ceil(this.#pauseLeft(setback) / 1000))
    return new Problem(code, { reason, cause, ...(!isLasting(setback.problem) && { retryAfter: wait }) })
  }

  #report(event: Unmeasured<MintEvent>, startedAt: number): void {
    this.#from.onMint?.({ ...event, durationMs: this.#now().monotonic - startedAt })
  }

  #now(): Moment {
    return { wall: this.#from.clock.now(), monotonic: this.#from.clock.monotonic() }
  }
}

type Unmeasured<E> = E extends MintEvent ? Omit<E, 'durationMs'> : never

function needsLogin(error: unknown): boolean {
  return error instanceof Problem && error.code === 'login-required'
}

const FORGOTTEN = { reason: 'what it was minted with was taken back meanwhile', retryAfter: 1 }

const EXPIRED_ON_ARRIVAL = {
  reason: 'the token had expired when it arrived: check the clocks and its lifetime',
  retryAfter: 1,
}

function credentialOf(minted: Minted, generation: number): Credential {
  const { secret, sentAt, lifetimeMs, behind, lineage, boundTo, isGood } = minted
  const bonds = { ...(boundTo && { boundTo }), ...(isGood && { isGood }) }
  const origin = { ...(behind && { behind }), ...(lineage && { lineage }), ...bonds }
  return { secret, generation, version: `token ${generation}`, expiresAt: sentAt.wall + lifetimeMs, ...origin }
}

const MINT_PROBLEMS: ReadonlySet<ProblemCode> = new Set([
  'credential-failed',
  'credential-unavailable',
  'login-required',
])

/** Another connection wants a login first: it says where, remembers that itself, and forgets it once there is one. */
function isToldElsewhere(error: unknown): boolean {
  return error instanceof Problem && error.code === 'login-required' && error.detail !== undefined
}

/** Whatever a mint threw, as one of the answers a caller may get. */
function asMintProblem(error: unknown): Problem {
  if (error instanceof Problem && MINT_PROBLEMS.has(error.code)) return error
  return new Problem('credential-unavailable', { reason: 'minting failed in a way nobody foresaw', cause: error })
}
