import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { inspect } from 'node:util'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Supply } from '../../../src/credentials/credential.ts'
import { refreshToken } from '../../../src/credentials/login/refresh-token.ts'
import { buildSupply, sourceSettings } from '../../../src/credentials/registry.ts'
import type { Store } from '../../../src/store/store.ts'
import { type Authority, makeAuthority } from '../../support/certificates.ts'
import { openLoginStore } from '../../support/login-store.ts'
import { type Quirk, type QuirkIssuer, startQuirkIssuer, tokenAnswer } from '../../support/quirk-issuer.ts'
import { privateDirectory } from '../../support/sallyport.ts'
import { loopback, makeSourceTools, type TestTools } from '../../support/source-tools.ts'

const FIRST = 'RT_CANARY-0'
const HOUR_MS = 3_600_000
const DENIED: Quirk = { status: 400, body: { error: 'invalid_grant', error_description: FIRST } }

const directory = privateDirectory()
let authority: Authority
let issuer: QuirkIssuer
let store: Store
let other: Store
let count = 0

beforeAll(async () => {
  authority = await makeAuthority()
  store = await openLoginStore(directory)
  other = await openLoginStore(directory)
})

beforeEach(async () => {
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
  issuer.answer(rotating)
  count += 1
})

afterEach(() => issuer.stop())

/** Every answer brings another refresh token, and another token. */
function rotating(): Quirk {
  const number = issuer.requests.length
  return tokenAnswer({ access_token: `at-${number}`, refresh_token: `RT_CANARY-${number}` })
}

type Built = TestTools & { readonly supply: Supply }

function build(wishes: { timeoutMs?: number; on?: Store } = {}): Built {
  const { timeoutMs = 10_000, on = store } = wishes
  const made = makeSourceTools({ secret: FIRST, ca: authority.certPem, logins: on.logins, name: `crm-${count}` })
  const settings = sourceSettings.parse({
    kind: 'refresh-token',
    refreshToken: { file: 'first' },
    tokenEndpoint: `https://login.test:${issuer.port}/token`,
    clientId: 'my-app',
    clientAuth: 'none',
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
    timeoutMs,
  })
  return { ...made, supply: buildSupply(settings, made.tools) }
}

/** What was shown so far, in order. */
function shown(): (string | null)[] {
  return issuer.requests.map(({ body }) => new URLSearchParams(body).get('refresh_token'))
}

async function textOf({ supply }: Pick<Built, 'supply'>): Promise<string | undefined> {
  return (await supply.obtain())?.secret.reveal()
}

/** Why there is none. */
async function failureOf({ supply }: Pick<Built, 'supply'>): Promise<string> {
  return Promise.resolve(supply.obtain()).then(() => 'a token', String)
}

describe('the refresh token', () => {
  test('is the referenced one at first, and then whatever came last', async () => {
    const built = build()
    expect(await textOf(built)).toBe('at-1')
    built.clock.advance(HOUR_MS)
    expect(await textOf(built)).toBe('at-2')
    built.clock.advance(HOUR_MS)
    await textOf(built)
    expect(shown()).toEqual([FIRST, 'RT_CANARY-1', 'RT_CANARY-2'])
    expect(new URLSearchParams(issuer.requests[0]?.body).get('grant_type')).toBe('refresh_token')
  })

  test('stays where the issuer sends no other', async () => {
    issuer.answer(tokenAnswer({ refresh_token: null }))
    const built = build()
    await textOf(built)
    built.clock.advance(HOUR_MS)
    await textOf(built)
    expect(shown()).toEqual([FIRST, FIRST])
  })

  test('is kept before the token that came with it is given out', async () => {
    await textOf(build())
    const kept = await other.logins.open({
      connection: `crm-${count}`,
      identity: store.logins.of(`crm-${count}`)[0]?.identity ?? '',
    })
    expect(kept?.content.reveal()).toContain('RT_CANARY-1')
  })

  test('that could not be kept is not lost, and its token is not given out before it is', async () => {
    const built = build()
    const file = new DatabaseSync(join(directory, 'store/logins.db'))
    issuer.answer(() => {
      file.exec('begin immediate')
      return rotating()
    })
    expect(await failureOf(built)).toMatch(/^Problem: credential-unavailable: another process is writing/)
    file.exec('rollback')
    file.close()
    built.clock.advance(1_000)
    expect(await textOf(built)).toBe('at-1')
    expect(shown()).toEqual([FIRST])
  })

  test('of a reference that has changed since brings no token any more', async () => {
    issuer.answer(() => ({ ...rotating(), delayMs: 100 }))
    const built = build()
    const late = failureOf(built)
    await issuer.received(1)
    built.rotate('RT_CANARY-new')
    const next = textOf(built)
    expect(await late).toMatch(/taken back meanwhile$/)
    expect([await next, await textOf(built)]).toEqual(['at-2', 'at-2'])
  })

  test('that could not be kept is had by whoever is the next to refresh there: settings may have been read again', async () => {
    const [built, after] = [build(), build({ timeoutMs: 9_000 })]
    const file = new DatabaseSync(join(directory, 'store/logins.db'))
    issuer.answer(() => {
      file.exec('begin immediate')
      return rotating()
    })
    expect(await failureOf(built)).toMatch(/^Problem: credential-unavailable: another process is writing/)
    file.exec('rollback')
    file.close()
    expect(await textOf(after)).toBe('at-1')
    built.clock.advance(1_000)
    expect(await textOf(built)).toBe('at-1')
    expect(shown()).toEqual([FIRST])
  }, 20_000)

  test('is what the store has after a restart, and so is a token that is young', async () => {
    await textOf(build())
    const again = build({ on: other })
    expect(await textOf(again)).toBe('at-1')
    expect(issuer.requests).toHaveLength(1)
    again.clock.advance(HOUR_MS)
    expect(await textOf(again)).toBe('at-2')
    expect(shown()).toEqual([FIRST, 'RT_CANARY-1'])
  })

  test('is spent anew where the clock was set back: nobody knows how old the token is', async () => {
    expect(await textOf(build())).toBe('at-1')
    const near = build()
    near.clock.jumpWall(-30_000)
    expect(await textOf(near)).toBe('at-1')
    const far = build()
    far.clock.jumpWall(-HOUR_MS)
    expect(await textOf(far)).toBe('at-2')
  })

  test('is spent by one of two who ask at once, and the other has the same token', async () => {
    issuer.answer(() => ({ ...rotating(), delayMs: 50 }))
    expect(await Promise.all([textOf(build()), textOf(build({ on: other }))])).toEqual(['at-1', 'at-1'])
    expect(shown()).toEqual([FIRST])
  })

  test('gets another token when the upstream rejects the one that is kept', async () => {
    const built = build()
    const token = await built.supply.obtain()
    const next = token && (await built.supply.rejected(token))
    expect(next?.secret.reveal()).toBe('at-2')
  })

  test('starts anew from another reference, and leaves what is kept of the one before', async () => {
    const built = build()
    await textOf(built)
    built.rotate('RT_CANARY-new')
    expect(await textOf(built)).toBe('at-2')
    expect(shown()).toEqual([FIRST, 'RT_CANARY-new'])
    built.rotate(FIRST)
    built.clock.advance(HOUR_MS)
    await textOf(built)
    expect(shown().at(-1)).toBe('RT_CANARY-1')
  })

  test('is printed nowhere', async () => {
    const built = build()
    const all = [await built.supply.obtain(), built.supply, built.supply.state(), built.events]
    issuer.answer(DENIED)
    built.clock.advance(HOUR_MS)
    all.push((await failureOf(built)) as never, built.events, store.logins.of(`crm-${count}`) as never)
    expect(inspect(all, { depth: 20, showHidden: true }) + JSON.stringify(all)).not.toContain('RT_CANARY')
  })
})

describe('a refresh token that is taken no more', () => {
  test('is not shown again, until the reference is another one', async () => {
    issuer.answer(DENIED)
    const built = build()
    expect(await failureOf(built)).toMatch(
      /^Problem: credential-failed: login.test:\d+ answered 400 invalid_grant: write a new refresh token to file:first$/,
    )
    built.clock.advance(24 * HOUR_MS)
    expect(await failureOf(built)).toMatch(/write a new refresh token/)
    expect(await failureOf(build({ on: other }))).toMatch(/write a new refresh token/)
    expect(issuer.requests).toHaveLength(1)
    issuer.answer(rotating)
    built.rotate('RT_CANARY-new')
    expect(await textOf(built)).toBe('at-2')
  })

  test.each<[string, Quirk, RegExp]>([
    ['another client', { status: 401, body: { error: 'invalid_client' } }, /invalid_client/],
    ['a fault of the issuer', { status: 503, body: '' }, /answered 503/],
    ['a limit', { status: 429, body: '' }, /answered 429/],
  ])('is not one that was refused for %s', async (_what, quirk, expected) => {
    issuer.answer(quirk)
    const built = build()
    for (let round = 0; round < 4; round++) {
      expect(await failureOf(built)).toMatch(expected)
      built.clock.advance(HOUR_MS)
    }
    issuer.answer(rotating)
    expect(await textOf(built)).toBe('at-5')
    expect(new Set(shown())).toEqual(new Set([FIRST]))
  })
})

describe('a refresh whose answer nobody has seen', () => {
  test.each<[string, Quirk]>([
    ['silence', { instead: 'silence' }],
    ['a reset', { instead: 'reset' }],
    ['half an answer', { ...tokenAnswer(), instead: 'reset-midway' }],
    ['something unreadable', { body: 'ok' }],
  ])(
    'is done again after %s, ever more seldom, and no login is lost by that',
    { timeout: 60_000 },
    async (_, quirk) => {
      issuer.answer(quirk)
      // Silence alone is waited for; to connect takes a busy machine a while.
      const built = build({ timeoutMs: quirk.instead === 'silence' ? 2_000 : 10_000 })
      expect(await failureOf(built)).toMatch(/^Problem: credential-unavailable: .* so it is shown again$/)
      await failureOf(built)
      expect(shown()).toEqual([FIRST])
      for (const seconds of [10, 20, 30]) {
        built.clock.advance(seconds * 1000 - 1)
        await failureOf(built)
        const before = shown().length
        built.clock.advance(1)
        expect(await failureOf(built)).toMatch(/^Problem: credential-unavailable: .* so it is shown again$/)
        expect(shown()).toHaveLength(before + 1)
      }
      issuer.answer(rotating)
      built.clock.advance(60_000)
      expect(await textOf(built)).toBe('at-5')
      expect(new Set(shown())).toEqual(new Set([FIRST]))
    },
  )

  test('may be all there was to it', async () => {
    issuer.answer({ instead: 'reset' })
    const built = build()
    await failureOf(built)
    issuer.answer(rotating)
    built.clock.advance(10_000)
    expect(await textOf(built)).toBe('at-2')
    issuer.answer({ instead: 'reset' })
    built.clock.advance(HOUR_MS)
    expect(await failureOf(built)).toMatch(/shown again/)
  })

  test('is done again and again where the issuer leaves refresh tokens in use', async () => {
    issuer.answer(tokenAnswer())
    const built = build()
    await textOf(built)
    issuer.answer({ instead: 'reset' })
    for (let round = 0; round < 4; round++) {
      built.clock.advance(HOUR_MS)
      expect(await failureOf(built)).toMatch(/^Problem: credential-unavailable/)
    }
    issuer.answer(tokenAnswer({ access_token: 'at-again' }))
    built.clock.advance(HOUR_MS)
    expect(await textOf(built)).toBe('at-again')
  })

  test('counts for another process, too', async () => {
    issuer.answer({ instead: 'reset' })
    await failureOf(build())
    await expect(async () => build({ on: other }).supply.obtain()).rejects.toMatchObject({ retryAfter: 20 })
  })
})

test('without a store there is no token, and nothing is shown', async () => {
  const made = makeSourceTools({ secret: FIRST, ca: authority.certPem })
  const settings = sourceSettings.parse({
    kind: 'refresh-token',
    refreshToken: { file: 'first' },
    tokenEndpoint: `https://login.test:${issuer.port}/token`,
    clientId: 'my-app',
    clientAuth: 'none',
  })
  expect(refreshToken.keepsTokens).toBe(true)
  expect(await failureOf({ supply: buildSupply(settings, made.tools) })).toMatch(/there is no store open here/)
  expect(issuer.requests).toHaveLength(0)
})
