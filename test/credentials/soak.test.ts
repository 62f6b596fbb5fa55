import { expect, test } from 'vitest'
import { MintedSupply } from '../../src/credentials/cache.ts'
import type { Credential } from '../../src/credentials/credential.ts'
import { HandClock } from '../support/hand-clock.ts'
import { HandMint, lasting, passing } from '../support/hand-mint.ts'

/** Ms. */
const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const WEEK = 7 * 24 * HOUR
/** What an issuer takes to answer. */
const LATENCY = 300

interface Outage {
  readonly from: number
  readonly to: number
  readonly lasts: boolean
}

/** Chance that is the same each time: a linear congruential generator. @see Numerical Recipes, section 7.1 */
function chanceFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** One sidecar's token over a week of asks, without a second of waiting. */
class Week {
  readonly #clock = new HandClock()
  readonly #issuer = new HandMint(this.#clock)
  readonly #supply: MintedSupply
  readonly #start = this.#clock.monotonic()
  readonly #expiries = new Map<string, number>()
  readonly #lifetimeMs: number
  readonly #outages: readonly Outage[]
  #landsAt = Number.POSITIVE_INFINITY
  asked = 0
  served = 0
  refused = 0
  /** Asks that got a credential which the upstream would not take any more. */
  expired = 0
  minted = 0
  failed = 0

  constructor(lifetimeMs: number, outages: readonly Outage[], random: () => number) {
    this.#lifetimeMs = lifetimeMs
    this.#outages = outages
    this.#supply = new MintedSupply({ mint: this.#issuer.mint, clock: this.#clock, random, secretVersion: () => 1 })
  }

  async run(pause: () => number): Promise<void> {
    while (this.#at() < WEEK) {
      await this.#pass(pause())
      this.#ask()
      if (this.#issuer.inTheAir > 0 && this.#landsAt === Number.POSITIVE_INFINITY) this.#landsAt = this.#at() + LATENCY
    }
  }

  /** Lets time pass, and a mint end on its way. */
  async #pass(ms: number): Promise<void> {
    const then = this.#at() + ms
    if (this.#landsAt <= then) {
      this.#clock.advance(this.#landsAt - this.#at())
      this.#landsAt = Number.POSITIVE_INFINITY
      await this.#end()
    }
    this.#clock.advance(Math.max(0, then - this.#at()))
  }

  async #end(): Promise<void> {
    const outage = this.#outages.find(({ from, to }) => this.#at() >= from && this.#at() < to)
    if (outage) {
      this.failed += 1
      return this.#issuer.crash(outage.lasts ? lasting() : passing())
    }
    this.minted += 1
    const text = `token ${this.minted}`
    // The issuer counts from when it had the request, which is later than when we sent it.
    this.#expiries.set(text, this.#at() - LATENCY + this.#lifetimeMs)
    await this.#issuer.land(text, this.#lifetimeMs)
  }

  #ask(): void {
    this.asked += 1
    const answer = this.#supply.obtain()
    if (!(answer instanceof Promise)) return this.#spend(answer)
    answer.then(
      (credential) => this.#spend(credential),
      () => (this.refused += 1),
    )
  }

  #spend({ secret }: Credential): void {
    this.served += 1
    if (this.#at() >= (this.#expiries.get(secret.reveal()) ?? 0)) this.expired += 1
  }

  #at(): number {
    return this.#clock.monotonic() - this.#start
  }
}

/** As many as a week takes when each is replaced just when the next is wanted: at 80 % of its life, on average. */
function leastMints(lifetimeMs: number): number {
  return WEEK / (lifetimeMs * 0.8)
}

describeEach('a week of asks with a token of %i s', async (lifetimeMs) => {
  const chance = chanceFrom(lifetimeMs)
  const week = new Week(lifetimeMs, [], chance)
  await week.run(() => 100 + chance() * Math.min(4 * SECOND, lifetimeMs / 40))
  expect(week.expired).toBe(0)
  expect(week.refused).toBe(0)
  expect(week.served).toBeGreaterThanOrEqual(week.asked - 1)
  expect(week.minted).toBeGreaterThan(leastMints(lifetimeMs) * 0.9)
  expect(week.minted).toBeLessThan(leastMints(lifetimeMs) * 1.05)
})

describeEach('a week with outages of the issuer and a token of %i s', async (lifetimeMs) => {
  const chance = chanceFrom(lifetimeMs + 1)
  const day = 24 * HOUR
  // Each day one: half a minute, ten minutes, three hours; and one of them says that it is for good.
  const outages = [30 * SECOND, 10 * MINUTE, 3 * HOUR, 30 * SECOND, 10 * MINUTE, 3 * HOUR].map((ms, index) => ({
    from: index * day + chance() * 20 * HOUR,
    ms,
    lasts: index === 4,
  }))
  const week = new Week(
    lifetimeMs,
    outages.map(({ from, ms, lasts }) => ({ from, to: from + ms, lasts })),
    chance,
  )
  await week.run(() => 100 + chance() * Math.min(4 * SECOND, lifetimeMs / 40))
  expect(week.expired).toBe(0)
  const downMs = outages.reduce((sum, { ms }) => sum + ms, 0)
  // Once a minute, or a little more at the beginning of each, is the most that an issuer that is down is asked.
  expect(week.failed).toBeLessThan((2 * downMs) / MINUTE + 10 * outages.length)
  expect(week.minted).toBeLessThan(leastMints(lifetimeMs) * 1.05)
  // Refused only while it was down and no token was left, and until the pause after the last failure was over.
  const recoveryMs = outages.length * 10 * MINUTE
  expect(week.refused / week.asked).toBeLessThan((downMs + recoveryMs) / WEEK)
  expect(week.refused).toBeGreaterThan(0)
})

function describeEach(title: string, body: (lifetimeMs: number) => Promise<void>): void {
  test.each([60, 300, 900, 3_600])(title, async (seconds) => body(seconds * SECOND))
}
