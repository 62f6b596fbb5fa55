import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Problem } from '../../src/core/problem.ts'
import { MintedSupply } from '../../src/credentials/cache.ts'
import type { Credential } from '../../src/credentials/credential.ts'
import { HandClock } from '../support/hand-clock.ts'
import { HandMint, lasting, passing, settled } from '../support/hand-mint.ts'

type Step =
  | { readonly do: 'advance' | 'jumpWall'; readonly ms: number }
  | { readonly do: 'age'; readonly share: number }
  | { readonly do: 'obtain'; readonly times: number }
  | { readonly do: 'land'; readonly lifetimeMs: number; readonly isSame: boolean }
  | { readonly do: 'crash'; readonly isLasting: boolean; readonly retryAfter: number | undefined }
  | { readonly do: 'reject'; readonly back: number }
  | { readonly do: 'rotate' }

const lifetimes = fc.oneof(fc.integer({ min: 0, max: 2_000 }), fc.integer({ min: 2_000, max: 4_000_000 }))
const durations = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 900_000 }))
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: durations }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('age' as const),
      share: fc.double({ min: 0.4, max: 1.01, noNaN: true }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('jumpWall' as const), ms: fc.integer({ min: -4e6, max: 4e6 }) }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('obtain' as const), times: fc.integer({ min: 1, max: 20 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('land' as const), lifetimeMs: lifetimes, isSame: fc.boolean() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('crash' as const),
      isLasting: fc.boolean(),
      retryAfter: fc.option(fc.integer({ min: 0, max: 1000 }), { nil: undefined }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('reject' as const), back: fc.integer({ min: 0, max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('rotate' as const) }) },
)

interface Start {
  readonly wall: number
  readonly monotonic: number
  readonly secretVersion: number
}

/** Plays a schedule, and keeps the books that the supply is held to in the plainest terms. */
class World {
  readonly faults: unknown[] = []
  readonly #clock = new HandClock()
  readonly #issuer = new HandMint(this.#clock)
  readonly #supply: MintedSupply
  readonly #seen: Credential[] = []
  readonly #rejected = new Set<number>()
  /** By the text of a token: when it was last minted, and for how long. */
  readonly #minted = new Map<string, Start & { readonly lifetimeMs: number }>()
  #secretVersion = 1
  #text = 'token 0'
  #start: Start = this.#now()
  #rejectionMintAt = Number.NEGATIVE_INFINITY
  /** Whether the next mint may begin, by what became of the last one. */
  #mayMint = () => true

  constructor(random: () => number) {
    const secretVersion = () => this.#secretVersion
    this.#supply = new MintedSupply({ mint: this.#issuer.mint, clock: this.#clock, random, secretVersion })
  }

  async play(step: Step): Promise<void> {
    if (step.do === 'advance') this.#clock.advance(step.ms)
    if (step.do === 'age') this.#age(step.share)
    if (step.do === 'jumpWall') this.#clock.jumpWall(step.ms)
    if (step.do === 'rotate') this.#secretVersion += 1
    if (step.do === 'obtain') for (let i = 0; i < step.times; i += 1) this.#obtain()
    if (step.do === 'reject') this.#reject(step.back)
    if (step.do === 'land' && this.#issuer.inTheAir > 0) await this.#land(step)
    if (step.do === 'crash' && this.#issuer.inTheAir > 0) await this.#crash(step)
    await settled()
    // What was due once stays due: a token is not taken back when the wall clock is.
    if (this.#mayMint()) this.#mayMint = () => true
    expect(this.#issuer.mostAtOnce).toBeLessThanOrEqual(1)
    expect(this.faults).toEqual([])
  }

  /** Lets this share of what is left of the token pass: chance alone would seldom come upon its last quarter. */
  #age(share: number): void {
    const { expiresAt } = this.#supply.state()
    if (expiresAt !== undefined) this.#clock.advance(share * (expiresAt - this.#clock.now()))
  }

  #obtain(): void {
    const { calls } = this.#issuer
    const answer = this.#supply.obtain()
    if (this.#issuer.calls > calls) this.#enterMint(this.#mayMint())
    if (answer instanceof Promise) this.#watch(answer)
    else this.#judge(answer)
  }

  #reject(back: number): void {
    const credential = this.#seen.at(-1 - back)
    if (!credential) return
    const { calls } = this.#issuer
    const had = this.#holdsToken()
    const answer = this.#supply.rejected(credential)
    const isGone = had && !this.#holdsToken()
    if (isGone) {
      this.#rejected.add(credential.generation)
      // It is back where no other could be had.
      void answer.then((other) => other ?? this.#rejected.delete(credential.generation))
    }
    if (this.#issuer.calls > calls) this.#enterMint(isGone ? this.#isRejectionMintDue() : this.#mayMint())
    this.#watch(answer)
  }

  #watch(answer: Promise<Credential | undefined>): void {
    answer.then(
      (credential) => credential && this.#judge(credential),
      (problem: unknown) => problem instanceof Problem || this.faults.push(problem),
    )
  }

  #judge(credential: Credential): void {
    const { wall, monotonic, lifetimeMs } = this.#minted.get(credential.secret.reveal()) ?? NEVER
    if (this.#clock.now() >= wall + lifetimeMs) this.faults.push('expired by the wall clock')
    if (this.#clock.monotonic() >= monotonic + lifetimeMs) this.faults.push('expired by the monotonic clock')
    if (this.#rejected.has(credential.generation)) this.faults.push('served after it was rejected')
    this.#seen.push(credential)
  }

  #enterMint(isDue: boolean): void {
    if (!isDue) this.faults.push('a mint without need')
    this.#start = this.#now()
  }

  #isRejectionMintDue(): boolean {
    const isDue = this.#clock.monotonic() - this.#rejectionMintAt >= 10_000
    this.#rejectionMintAt = this.#clock.monotonic()
    return isDue
  }

  async #land({ lifetimeMs, isSame }: Extract<Step, { do: 'land' }>): Promise<void> {
    const start = this.#start
    const text = isSame ? this.#text : `token ${this.#issuer.calls}`
    const before = this.#minted.get(text)
    const isKept = isSame && this.#holdsToken()
    const landedAt = this.#now()
    this.#minted.set(text, { ...start, lifetimeMs })
    await this.#issuer.land(text, lifetimeMs)
    if (this.#supply.state().lastError === undefined) {
      this.#text = text
      const soonest = isKept ? 0.9 : 0.75
      this.#mayMint = () => this.#hasPassed(start, lifetimeMs * soonest) || (isKept && this.#hasPassed(landedAt, 5_000))
      return
    }
    this.#minted.set(text, before ?? NEVER)
    this.#pauseFor(1_000)
  }

  async #crash({ isLasting, retryAfter = 0 }: Extract<Step, { do: 'crash' }>): Promise<void> {
    const { secretVersion } = this.#start
    await this.#issuer.crash(isLasting ? lasting() : passing(retryAfter))
    this.#pauseFor(isLasting ? 60_000 : Math.max(100, Math.min(600, retryAfter) * 1000))
    const isOver = this.#mayMint
    if (isLasting) this.#mayMint = () => this.#secretVersion !== secretVersion || isOver()
  }

  #pauseFor(ms: number): void {
    const until = this.#clock.monotonic() + ms
    this.#mayMint = () => this.#clock.monotonic() >= until
  }

  #holdsToken(): boolean {
    return this.#supply.state().expiresAt !== undefined
  }

  #hasPassed(start: Start, ms: number): boolean {
    return this.#clock.monotonic() >= start.monotonic + ms || this.#clock.now() >= start.wall + ms
  }

  #now(): Start {
    return { wall: this.#clock.now(), monotonic: this.#clock.monotonic(), secretVersion: this.#secretVersion }
  }
}

const NEVER = { wall: 0, monotonic: 0, secretVersion: 0, lifetimeMs: 0 }

test('no schedule makes it serve an expired or rejected token, fly two mints at once, or mint without need', async () => {
  const chance = fc.oneof(fc.constant(0), fc.constant(0.5), fc.constant(0.999_999))
  const run = fc.asyncProperty(fc.array(step, { maxLength: 80, size: 'max' }), chance, async (steps, random) => {
    const world = new World(() => random)
    for (const each of steps) await world.play(each)
  })
  await fc.assert(run, { numRuns: 300, interruptAfterTimeLimit: 10_000 })
})
