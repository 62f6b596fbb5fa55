import { expect, test } from 'vitest'
import type { LoginLease, LoginPlace } from '../../../src/core/login.ts'
import { Problem } from '../../../src/core/problem.ts'
import { Secret } from '../../../src/core/secret.ts'
import { MintedSupply } from '../../../src/credentials/cache.ts'
import type { Credential } from '../../../src/credentials/credential.ts'
import { packed } from '../../../src/credentials/login/content.ts'
import type { Logins } from '../../../src/credentials/login/logins.ts'
import { Refresher, type RefreshTerms } from '../../../src/credentials/login/refresher.ts'
import type { Granted, GrantRequest } from '../../../src/oauth/endpoint.ts'
import { IssuerRefusal, OutcomeUnseen } from '../../../src/oauth/refusal.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { openLoginStore } from '../../support/login-store.ts'

/** Ms. */
const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const WEEK = 7 * DAY
/** What an issuer takes to answer. */
const LATENCY = 300

/** How long the tokens live that are given out from this hour of a day on. */
const LIVES = [
  { from: 0, lifetimeMs: MINUTE },
  { from: 0.5, lifetimeMs: 5 * MINUTE },
  { from: 2, lifetimeMs: 15 * MINUTE },
  { from: 12, lifetimeMs: HOUR },
]
/** `down`: it says so. `deaf`: it takes requests, and neither does anything nor answers. `page`: a page in place of JSON. */
const OUTAGES = [
  { from: 0.3 * HOUR, ms: 30 * SECOND, how: 'deaf' },
  { from: 1 * DAY + 2 * HOUR, ms: 10 * MINUTE, how: 'down' },
  { from: 2 * DAY + 6 * HOUR, ms: 3 * HOUR, how: 'deaf' },
  { from: 3 * DAY + 13 * HOUR, ms: 3 * HOUR, how: 'page' },
  { from: 5 * DAY + 0.3 * HOUR, ms: 20 * MINUTE, how: 'down' },
] as const
/** Of one refresh in so many, in turn, something goes wrong. */
const EVERY = 30
const MISHAPS = ['answer lost', 'not written', 'written, and not said so', 'killed before', 'killed after'] as const

type Mishap = (typeof MISHAPS)[number]

/** Chance that is the same each time: a linear congruential generator. @see Numerical Recipes, section 7.1 */
function chanceFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/**
 * An issuer that rotates, and revokes everything when it is shown a refresh token that was rotated, unless that is the
 * one before the last, and the last has never been shown: then its answer may have been lost.
 */
class RotatingIssuer {
  readonly #clock: HandClock
  readonly #start: number
  readonly expiries = new Map<string, number>()
  #latest = 0
  #before = 0
  #number = 0
  isRevoked = false
  minted = 0
  /** For how long what it gave out serves when each is replaced at 80 % of its life, as on average. */
  coveredMs = 0
  asked = 0
  /** The next answer is lost on its way. */
  losesAnswer = false
  whileAnswering: () => void = () => undefined

  constructor(clock: HandClock) {
    this.#clock = clock
    this.#start = clock.monotonic()
  }

  /** It publishes no metadata: the settings name its endpoint. */
  async metadata(): Promise<{ issuer: string }> {
    return { issuer: 'https://login.test' }
  }

  async request({ parameters = [] }: GrantRequest): Promise<Granted> {
    const sentAt = { wall: this.#clock.now(), monotonic: this.#clock.monotonic() }
    this.asked += 1
    this.#clock.advance(LATENCY)
    this.whileAnswering()
    const at = this.#clock.monotonic() - this.#start
    const how = OUTAGES.find(({ from, ms }) => at >= from && at < from + ms)?.how
    if (how === 'down') throw new Problem('credential-unavailable', { reason: 'login.test answered 503' })
    if (how === 'deaf')
      throw new OutcomeUnseen('credential-unavailable', { reason: 'login.test did not answer in time' })
    if (how === 'page')
      throw new OutcomeUnseen('credential-failed', { reason: 'login.test sent a page', retryAfter: 1 })
    const [, text = ''] = parameters.find(([name]) => name === 'refresh_token') ?? []
    this.#rotate(Number(text.replace('rt-', '')))
    const lifetimeMs = lifetimeAt(at)
    this.coveredMs += lifetimeMs * 0.8
    const accessToken = new Secret(`at-${this.#latest}`)
    this.expiries.set(accessToken.reveal(), this.#clock.monotonic() - LATENCY + lifetimeMs)
    if (this.losesAnswer) {
      this.losesAnswer = false
      throw new OutcomeUnseen('credential-unavailable', { reason: 'the exchange with login.test broke off' })
    }
    const refreshToken = new Secret(`rt-${this.#latest}`)
    const rest = { tokenType: 'bearer', scope: undefined, issuedTokenType: undefined }
    return { ...rest, accessToken, refreshToken, sentAt, expiresIn: lifetimeMs / SECOND }
  }

  #rotate(shown: number): void {
    if (shown !== this.#latest && shown !== this.#before) this.isRevoked = true
    if (this.isRevoked) throw new IssuerRefusal('invalid_grant', { reason: 'login.test answered 400 invalid_grant' })
    this.#before = shown
    this.#number += 1
    this.#latest = this.#number
    this.minted += 1
  }
}

function lifetimeAt(ms: number): number {
  const hour = (ms % DAY) / HOUR
  return LIVES.findLast(({ from }) => hour >= from)?.lifetimeMs ?? MINUTE
}

/** Ends the process, as far as it goes within one. */
class Killed extends Error {}

/** A real store, in which a write goes wrong when it is told to. */
class ShakyLogins implements Logins {
  readonly #real: Logins
  next: Mishap | undefined

  constructor(real: Logins) {
    this.#real = real
  }

  find: Logins['find'] = (place) => this.#real.find(place)
  of: Logins['of'] = (connection) => this.#real.of(connection)
  open: Logins['open'] = (place) => this.#real.open(place)
  put: Logins['put'] = (place, content, facts) => this.#real.put(place, content, facts)
  remove: Logins['remove'] = (place) => this.#real.remove(place)

  /** Held for 50 ms by the real clock: who comes after one that was killed waits for that. */
  async lease(place: LoginPlace): Promise<LoginLease | undefined> {
    const real = await this.#real.lease(place, 50)
    if (!real) return undefined
    return {
      kept: real.kept,
      tries: real.tries,
      keep: (content, expiresAt) => this.#keep(real, content, expiresAt),
      release: (outcome) => real.release(outcome),
      drop: () => real.drop(),
    }
  }

  async #keep(real: LoginLease, content: Secret, expiresAt: number | undefined): Promise<number | undefined> {
    const mishap = this.next
    this.next = undefined
    if (mishap === 'killed before') throw new Killed()
    if (mishap === 'not written') throw new Error('the store is lost')
    const version = await real.keep(content, expiresAt)
    if (mishap === 'killed after') throw new Killed()
    if (mishap === 'written, and not said so') throw new Error('the store is lost')
    return version
  }
}

/** One sidecar's login over a week of asks, killed and started anew now and then, without a second of waiting. */
class Week {
  readonly #clock = new HandClock()
  readonly issuer = new RotatingIssuer(this.#clock)
  readonly #start = this.#clock.monotonic()
  readonly #logins: ShakyLogins
  readonly #chance = chanceFrom(5)
  #supply: MintedSupply
  #isKilled = false
  asked = 0
  refused = 0
  /** Asks that got a credential which the upstream would not take any more. */
  expired = 0
  mishaps = 0
  readonly gone: string[] = []

  constructor(logins: Logins) {
    this.#logins = new ShakyLogins(logins)
    this.#supply = this.#begin()
    this.issuer.whileAnswering = () => void this.#ask()
  }

  /** What a process begins with: nothing in memory. */
  #begin(): MintedSupply {
    const terms: RefreshTerms = {
      place: PLACE,
      logins: this.#logins,
      endpoint: this.issuer,
      settings: { defaultLifetimeMs: 300_000, maxLifetimeMs: DAY, timeoutMs: 10_000 },
      clock: this.#clock,
      gone: (reason) => {
        this.gone.push(`${reason} at ${(this.#clock.monotonic() - this.#start) / HOUR} h`)
        return new Problem('login-required', { reason })
      },
    }
    const refresher = new Refresher(terms)
    const mint = () =>
      refresher.mint().catch((error: unknown) => {
        this.#isKilled ||= isKilled(error)
        throw error
      })
    return new MintedSupply({ mint, clock: this.#clock, random: this.#chance, secretVersion: () => 1 })
  }

  async run(): Promise<void> {
    while (this.#clock.monotonic() - this.#start < WEEK) {
      const lifetimeMs = lifetimeAt(this.#clock.monotonic() - this.#start)
      this.#clock.advance(100 + this.#chance() * Math.min(8 * SECOND, lifetimeMs / 40))
      await this.#ask()
    }
  }

  #ask(): Promise<void> | undefined {
    this.asked += 1
    this.#stumble()
    const answer = this.#supply.obtain()
    if (answer instanceof Promise) return this.#wait(answer)
    this.#spend(answer)
    return this.#supply.state().phase === 'refreshing' ? this.#settle() : undefined
  }

  /** The next refresh in turn goes wrong. */
  #stumble(): void {
    if (this.issuer.minted < (this.mishaps + 1) * EVERY) return
    const mishap = MISHAPS[this.mishaps % MISHAPS.length]
    this.mishaps += 1
    if (mishap === 'answer lost') this.issuer.losesAnswer = true
    else this.#logins.next = mishap
  }

  async #wait(answer: Promise<Credential>): Promise<void> {
    await answer.then(
      (credential) => this.#spend(credential),
      () => (this.refused += 1),
    )
    this.#startAnewIfKilled()
  }

  async #settle(): Promise<void> {
    const supply = this.#supply
    while (supply.state().phase === 'refreshing') await new Promise((resolve) => setImmediate(resolve))
    this.#startAnewIfKilled()
  }

  #startAnewIfKilled(): void {
    if (!this.#isKilled) return
    this.#isKilled = false
    this.#supply = this.#begin()
  }

  #spend({ secret }: Credential): void {
    if (this.#clock.monotonic() >= (this.issuer.expiries.get(secret.reveal()) ?? 0)) this.expired += 1
  }
}

function isKilled(error: unknown): boolean {
  return error instanceof Killed || (error instanceof Error && error.cause instanceof Killed)
}

const PLACE = { connection: 'crm', identity: 'shared' }

test('J19: a week of refresh tokens that rotate: none is lost, nothing expired is sent, and few tokens are asked for', async () => {
  const { logins } = await openLoginStore()
  await logins.put(PLACE, packed({ refreshToken: new Secret('rt-0'), isSteady: false }), { by: 'ann' })
  const week = new Week(logins)
  await week.run()
  expect(week.gone).toEqual([])
  expect(week.issuer.isRevoked).toBe(false)
  expect(week.expired).toBe(0)
  expect(week.mishaps).toBeGreaterThan(4 * MISHAPS.length)
  // With fewer the week is not to be had.
  expect(week.issuer.coveredMs).toBeLessThan(WEEK * 1.05)
  expect(week.issuer.coveredMs).toBeGreaterThan(WEEK * 0.9)
  // Once a minute, or a little more at the beginning of each, is the most that an issuer that is down is asked.
  const downMs = OUTAGES.reduce((sum, { ms }) => sum + ms, 0)
  expect(week.issuer.asked - week.issuer.minted).toBeLessThan((2 * downMs) / MINUTE + 10 * OUTAGES.length)
  // Refused only while it was down and no token was left, and for some seconds after a mishap.
  expect(week.refused / week.asked).toBeLessThan((downMs + OUTAGES.length * 10 * MINUTE) / WEEK)
})
