import { describe, expect, test } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import { MintedSupply } from '../../src/credentials/cache.ts'
import { HandClock } from '../support/hand-clock.ts'
import { lasting, passing, settled } from '../support/hand-mint.ts'
import { failOnce, HOUR, setUp, setUpFresh, textOf } from '../support/minted-supply.ts'

describe('minting', () => {
  test('asks nobody before the first ask', () => {
    const { issuer, supply } = setUp()
    expect(supply.state()).toEqual({ phase: 'absent' })
    expect(issuer.calls).toBe(0)
  })

  test('J11: 100 callers with a cold cache make exactly one mint and share its token', async () => {
    const { issuer, supply } = setUp()
    const waiting = Array.from({ length: 100 }, async () => supply.obtain())
    expect(supply.state().phase).toBe('minting')
    await issuer.land('first', HOUR)
    const texts = (await Promise.all(waiting)).map((credential) => credential.secret.reveal())
    expect(new Set(texts)).toEqual(new Set(['first']))
    expect(issuer.calls).toBe(1)
  })

  test('answers at once, without a promise, while the token is fresh', async () => {
    const { supply, clock } = await setUpFresh()
    clock.advance(0.79 * HOUR)
    expect(textOf(supply.obtain())).toBe('first')
    expect(supply.state().phase).toBe('fresh')
  })

  test('names the token by its number, and its expiry by the wall clock', async () => {
    const { credential, clock } = await setUpFresh()
    expect(credential).toMatchObject({ version: 'token 1', generation: 1, expiresAt: clock.now() + HOUR })
  })

  test('tells of every mint, and how long it took', async () => {
    const { supply, issuer, clock, events } = setUp()
    void supply.obtain()
    clock.advance(250)
    await issuer.land('first', HOUR)
    expect(events).toEqual([
      { outcome: 'ok', durationMs: 250, version: 'token 1', secret: expect.any(Secret), warnings: [] },
    ])
  })

  test('gives all who wait the failure of the mint', async () => {
    const { supply, issuer } = setUp()
    const waiting = [supply.obtain(), supply.obtain()].map((each) => Promise.resolve(each))
    const outcome = Promise.allSettled(waiting)
    await issuer.crash(passing())
    expect((await outcome).map((each) => each.status)).toEqual(['rejected', 'rejected'])
  })

  test('takes an error nobody foresaw for one that may pass', async () => {
    const setting = setUp()
    expect(await failOnce(setting, new TypeError('x'))).toMatchObject({ code: 'credential-unavailable', retryAfter: 1 })
  })

  test('survives a mint that throws before it makes a promise', async () => {
    const clock = new HandClock()
    const mint = () => {
      throw passing()
    }
    const supply = new MintedSupply({ mint, clock, random: () => 0.5, secretVersion: () => 1 })
    await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-unavailable' })
    await settled()
    expect(supply.state().phase).toBe('failed')
  })

  test('J06: does not serve a token that had expired when it arrived, nor ask again at once', async () => {
    const { supply, issuer, clock } = setUp()
    const waiting = Promise.resolve(supply.obtain()).catch((problem: unknown) => problem)
    clock.advance(1_500)
    await issuer.land('slow', 1_000)
    expect(await waiting).toMatchObject({ code: 'credential-failed', retryAfter: 1 })
    await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-failed' })
    expect(issuer.calls).toBe(1)
  })

  test('J05: a lifetime of nought is a failure, not a mint for every request', async () => {
    const { supply, issuer } = setUp()
    const waiting = Promise.resolve(supply.obtain()).catch((problem: unknown) => problem)
    await issuer.land('nothing', 0)
    expect(await waiting).toMatchObject({ code: 'credential-failed' })
    await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-failed' })
    expect(issuer.calls).toBe(1)
  })
})

describe('refreshing ahead', () => {
  test('starts at 80 % of the lifetime, once, while the old token serves', async () => {
    const { supply, issuer, clock } = await setUpFresh()
    clock.advance(0.8 * HOUR)
    for (let i = 0; i < 50; i += 1) expect(textOf(supply.obtain())).toBe('first')
    expect(issuer.calls).toBe(2)
    expect(supply.state().phase).toBe('refreshing')
    await issuer.land('second', HOUR)
    expect(textOf(supply.obtain())).toBe('second')
    expect(supply.state().phase).toBe('fresh')
  })

  test('counts the lifetime from when the request was sent', async () => {
    const { supply, issuer, clock } = setUp()
    const waiting = supply.obtain()
    clock.advance(10_000)
    await issuer.land('first', 100_000)
    await waiting
    clock.advance(79_999)
    expect(textOf(supply.obtain())).toBe('first')
    clock.advance(1)
    expect(textOf(supply.obtain())).toBe('no credential at once')
  })

  test('J09: a failed refresh keeps the token until its true expiry, then refuses with the time that is left', async () => {
    const setting = await setUpFresh()
    const { supply, issuer, clock } = setting
    clock.advance(HOUR - 10_001)
    void supply.obtain()
    await issuer.crash(passing(60))
    expect(supply.state().phase).toBe('stale')
    expect(textOf(supply.obtain())).toBe('first')
    clock.advance(1)
    await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-unavailable', retryAfter: 60 })
    expect(supply.state().phase).toBe('failed')
    expect(issuer.calls).toBe(2)
  })

  test('whoever comes after the expiry joins a refresh that is under way', async () => {
    const { supply, issuer, clock } = await setUpFresh()
    clock.advance(0.9 * HOUR)
    void supply.obtain()
    clock.advance(HOUR)
    const waiting = supply.obtain()
    await issuer.land('second', 2 * HOUR)
    expect(textOf(await waiting)).toBe('second')
    expect(issuer.calls).toBe(2)
  })

  test('a lasting failure of a refresh keeps the token, and is not tried again for a minute', async () => {
    const { supply, issuer, clock } = await setUpFresh()
    clock.advance(0.8 * HOUR)
    void supply.obtain()
    await issuer.crash(lasting())
    clock.advance(59_999)
    expect(textOf(supply.obtain())).toBe('first')
    expect(issuer.calls).toBe(2)
    clock.advance(1)
    void supply.obtain()
    expect(issuer.calls).toBe(3)
  })

  test('J16: the same token with a shrinking lifetime makes few mints, not a hot loop', async () => {
    const { supply, issuer, clock } = await setUpFresh('same')
    const end = clock.now() + HOUR
    while (clock.now() < end - 11_000) {
      clock.advance(1_000)
      expect(textOf(supply.obtain())).toBe('same')
      if (issuer.inTheAir > 0) await issuer.land('same', end - clock.now())
    }
    expect(issuer.calls).toBeGreaterThan(2)
    expect(issuer.calls).toBeLessThan(12)
    expect(textOf(supply.obtain())).toBe('same')
  })

  test('the same token keeps its generation', async () => {
    const { supply, issuer, clock, credential } = await setUpFresh('same')
    clock.advance(0.8 * HOUR)
    void supply.obtain()
    await issuer.land('same', 0.2 * HOUR)
    expect(supply.obtain()).toMatchObject({ generation: credential.generation })
  })

  test('a token of one second is minted about once a second', async () => {
    const { supply, issuer, clock } = setUp()
    for (let elapsed = 0; elapsed < 60_000; elapsed += 10) {
      void supply.obtain()
      if (issuer.inTheAir > 0) await issuer.land(`token at ${elapsed}`, 1_000)
      clock.advance(10)
    }
    expect(issuer.calls).toBeLessThanOrEqual(60_000 / 750 + 1)
  })
})

describe('two clocks', () => {
  test('J06: a wall clock set back does not prolong a token', async () => {
    const { supply, clock } = await setUpFresh()
    clock.jumpWall(-HOUR)
    clock.advance(HOUR - 10_000)
    expect(textOf(supply.obtain())).toBe('no credential at once')
  })

  test('J06: a wall clock that jumps ahead, as after sleep, ends the token', async () => {
    const { supply, clock, issuer } = await setUpFresh()
    clock.jumpWall(HOUR)
    expect(textOf(supply.obtain())).toBe('no credential at once')
    expect(issuer.calls).toBe(2)
  })

  test('a wall clock that was set back does not stretch the pause after a failure', async () => {
    const setting = setUp()
    await failOnce(setting)
    setting.clock.jumpWall(-HOUR)
    setting.clock.advance(250)
    void setting.supply.obtain()
    expect(setting.issuer.calls).toBe(2)
  })
})

describe('after a failure', () => {
  test('J07: asks the issuer at most once within a pause', async () => {
    const setting = setUp()
    await failOnce(setting)
    for (let i = 0; i < 20; i += 1) {
      await expect(setting.supply.obtain()).rejects.toMatchObject({ code: 'credential-unavailable', retryAfter: 1 })
    }
    expect(setting.issuer.calls).toBe(1)
  })

  test('pauses longer each time, and forgets it all at the first success', async () => {
    const setting = setUp()
    const pauses: number[] = []
    for (let i = 0; i < 6; i += 1) {
      await failOnce(setting)
      const { nextAttemptAt = 0 } = setting.supply.state()
      pauses.push(nextAttemptAt - setting.clock.now())
      setting.clock.advance(pauses.at(-1) ?? 0)
    }
    expect(pauses).toEqual([250, 500, 1_000, 2_000, 6_000, 12_000])
    const waiting = setting.supply.obtain()
    await setting.issuer.land('first', HOUR)
    await waiting
    expect(setting.supply.state()).not.toHaveProperty('lastError')
  })

  test('lets exactly one probe through when the breaker is half open', async () => {
    const setting = setUp()
    for (let i = 0; i < 6; i += 1) {
      await failOnce(setting)
      setting.clock.advance(60_000)
    }
    const waiting = Promise.allSettled(Array.from({ length: 50 }, async () => setting.supply.obtain()))
    expect(setting.issuer.calls).toBe(7)
    await setting.issuer.crash(passing())
    await waiting
    await expect(setting.supply.obtain()).rejects.toThrow()
    expect(setting.issuer.calls).toBe(7)
  })

  test('J08: heeds Retry-After, and tells callers of it', async () => {
    const setting = setUp()
    expect(await failOnce(setting, passing(30))).toMatchObject({ retryAfter: 30 })
    setting.clock.advance(29_001)
    await expect(setting.supply.obtain()).rejects.toMatchObject({ retryAfter: 1 })
    setting.clock.advance(999)
    void setting.supply.obtain()
    expect(setting.issuer.calls).toBe(2)
  })

  test('J07: a lasting failure is remembered for a minute, then two, and names no time to retry', async () => {
    const setting = setUp()
    expect(await failOnce(setting, lasting())).toMatchObject({ code: 'credential-failed', retryAfter: undefined })
    setting.clock.advance(60_000)
    await failOnce(setting, lasting())
    setting.clock.advance(119_999)
    await expect(setting.supply.obtain()).rejects.toMatchObject({ code: 'credential-failed' })
    expect(setting.issuer.calls).toBe(2)
  })

  test('a rotated secret ends the memory of a lasting failure at once', async () => {
    const setting = setUp()
    await failOnce(setting, lasting())
    setting.secret.version = 2
    expect(setting.supply.state()).not.toHaveProperty('nextAttemptAt')
    await failOnce(setting, lasting())
    expect(setting.issuer.calls).toBe(2)
    expect(setting.supply.state().nextAttemptAt).toBe(setting.clock.now() + 60_000)
  })

  test('a rotated secret does not cut short the pause of an issuer that is out of order', async () => {
    const setting = setUp()
    await failOnce(setting, passing(30))
    setting.secret.version = 2
    await expect(setting.supply.obtain()).rejects.toMatchObject({ retryAfter: 30 })
    expect(setting.issuer.calls).toBe(1)
  })

  test('says on the readiness page what went wrong and when it is tried again', async () => {
    const setting = setUp()
    const at = setting.clock.now()
    await failOnce(setting, passing(30))
    expect(setting.supply.state()).toEqual({
      phase: 'failed',
      lastError: { code: 'credential-unavailable', reason: 'out of order', at },
      nextAttemptAt: at + 30_000,
    })
  })
})
