import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { sourceSettings } from '../../src/credentials/registry.ts'
import type { Store } from '../../src/store/store.ts'
import { type Authority, makeAuthority, makeSelfSigned } from '../support/certificates.ts'
import { openLoginStore } from '../support/login-store.ts'
import { type Quirk, type QuirkIssuer, startQuirkIssuer } from '../support/quirk-issuer.ts'
import { eventually } from '../support/sallyport.ts'
import {
  type Attacked,
  answerTo,
  attack,
  ISSUER_TEXT,
  type Members,
  settingsOf,
  TOKEN,
  type Way,
  ways,
} from './issuing.ts'

/** Section J of the attacks: what an issuer may do wrong, done to every source that asks one. */
const SECOND = 1_000
const HOUR = 3_600 * SECOND
/** Ten minutes from when the clock of a test begins. */
const SOON = Date.UTC(2026, 10, 22, 0, 10) / SECOND
const LEAKY = { error_description: ISSUER_TEXT, access_token: TOKEN, message: ISSUER_TEXT, [ISSUER_TEXT]: ISSUER_TEXT }
const HTML = `<html>${ISSUER_TEXT} ${TOKEN}</html>`

let authority: Authority
let issuer: QuirkIssuer
let store: Store

beforeAll(async () => {
  authority = await makeAuthority()
  store = await openLoginStore()
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
})

afterAll(() => issuer.stop())

const build = (way: Way, settings: object = {}): Promise<Attacked> =>
  attack(way, { issuer, store, ca: authority.certPem, settings })

type Wrong = readonly [what: string, quirk: (way: Way, now: number) => Quirk, code: 'failed' | 'unavailable']

/** The right answer as text, changed. */
function text(way: Way, change: (json: string) => string, members: Members = {}): Quirk {
  const right = way.right(members, Date.UTC(2030, 0))
  return { ...right, body: change(JSON.stringify(right.body)) }
}

const withToken = (access_token: unknown) => (way: Way, now: number) => way.right({ access_token }, now)
const failure =
  (status: number, body: string | object, headers = {}) =>
  (): Quirk => ({ status, body, headers })

const WRONG: readonly Wrong[] = [
  ['J01 HTML', (way) => text(way, () => HTML), 'failed'],
  ['J01 nothing', (way) => text(way, () => ''), 'failed'],
  ['J01 half an answer', (way) => text(way, (json) => json.slice(0, -3)), 'failed'],
  ['J01 a byte order mark', (way) => text(way, (json) => `\uFEFF${json}`), 'failed'],
  ['J01 null', (way) => text(way, () => 'null'), 'failed'],
  ['J01 a list', (way) => text(way, (json) => `[${json}]`), 'failed'],
  ['J01 a string', (way) => text(way, () => `"${TOKEN}"`), 'failed'],
  ['J01 a depth of 10 000', (way) => text(way, () => '{"a":['.repeat(10_000)), 'failed'],
  ['J05 a lifetime of nought', (way, now) => way.right({ expires_in: 0 }, now), 'failed'],
  ['J05 a lifetime below nought', (way, now) => way.right({ expires_in: -1 }, now), 'failed'],
  ['J05 a lifetime in words', (way, now) => way.right({ expires_in: `soon ${ISSUER_TEXT}` }, now), 'failed'],
  ['J05 a lifetime that is true', (way, now) => way.right({ expires_in: true }, now), 'failed'],
  ['J07 400 invalid_grant', failure(400, { error: 'invalid_grant', ...LEAKY }), 'failed'],
  ['J07 400 invalid_client', failure(400, { error: 'invalid_client', ...LEAKY }), 'failed'],
  ['J07 400 of its own', failure(400, { error: ISSUER_TEXT, ...LEAKY }), 'failed'],
  ['J07 400 in HTML', failure(400, HTML, { 'content-type': 'text/html' }), 'failed'],
  ['J07 401 with a challenge', failure(401, { error: 'invalid_client', ...LEAKY }, challenge()), 'failed'],
  ['J07 403', failure(403, LEAKY), 'failed'],
  ['J08 429', failure(429, LEAKY), 'unavailable'],
  ['J08 503 with a Retry-After of its own', failure(503, HTML, { 'retry-after': ISSUER_TEXT }), 'unavailable'],
  ['J09 500 in JSON', failure(500, { error: 'invalid_grant', ...LEAKY }), 'unavailable'],
  ['J09 502 in HTML', failure(502, HTML), 'unavailable'],
  ['J10 a reset', () => ({ instead: 'reset' }), 'unavailable'],
  ['J10 a reset midway', (way, now) => ({ ...way.right({}, now), instead: 'reset-midway' }), 'unavailable'],
  ['J13 a redirect elsewhere', failure(302, LEAKY, { location: 'https://evil.test/' }), 'failed'],
  ['J13 a redirect in the clear', failure(307, '', { location: 'http://login.test/' }), 'failed'],
  ['J13 a redirect to itself', failure(308, '', { location: '/' }), 'failed'],
  ['J15 a body of 1 MiB', (way) => text(way, (json) => json + ' '.repeat(2 ** 20)), 'failed'],
  [
    'J15 a head that is too large',
    (way, now) => ({ ...way.right({}, now), headers: { x: 'x'.repeat(20_000) } }),
    'failed',
  ],
  [
    'J15 a body that unpacks',
    (way, now) => ({ ...way.right({}, now), headers: { 'content-encoding': 'gzip' } }),
    'failed',
  ],
  ['J21 a token that comes twice', (way) => text(way, twice(way)), 'failed'],
  ['J21 __proto__', (way) => text(way, (json) => json.replace(`"${way.token}"`, '"__proto__"')), 'failed'],
  ['J21 a token that is an object', withToken({ a: TOKEN }), 'failed'],
  ['J21 a token that is null', withToken(null), 'failed'],
  ['J21 a token that is empty', withToken(''), 'failed'],
  ['J21 a token with a line end', withToken(`${TOKEN}\r\nX-Injected: y`), 'failed'],
  ['J21 a token that is not ASCII', withToken(`${TOKEN}\u00e9`), 'failed'],
  ['d.0 a 204', failure(204, ''), 'failed'],
]

const WRONG_OAUTH: readonly Wrong[] = [
  ['J03 no token_type', (way) => way.right({ token_type: undefined }), 'failed'],
  ['J03 the token_type mac', (way) => way.right({ token_type: 'mac' }), 'failed'],
  ['J03 the token_type DPoP', (way) => way.right({ token_type: 'DPoP' }), 'failed'],
  ['d.0 the token_type N_A', (way) => way.right({ token_type: 'N_A' }), 'failed'],
  ['J06 a JWT that had expired', (way) => way.right({ access_token: jwt({ exp: 1_000_000_000 }) }), 'failed'],
  ['J20 an id_token only', (way) => way.right({ access_token: undefined, id_token: TOKEN }), 'failed'],
  ['d.0 a 200 that is an error', (way) => way.right({ error: 'bad_verification_code', ...LEAKY }), 'failed'],
  ['d.0 a 200 that is not ok', () => ({ body: { ok: false, error: ISSUER_TEXT } }), 'failed'],
  ['d.0 invalid_target', failure(400, { error: 'invalid_target', ...LEAKY }), 'failed'],
  ['d.0 temporarily_unavailable', failure(400, { error: 'temporarily_unavailable', ...LEAKY }), 'unavailable'],
]

function challenge(): Record<string, string> {
  return { 'www-authenticate': `Basic realm="${ISSUER_TEXT}"`, 'content-type': 'application/json' }
}

function twice({ token }: Way) {
  return (json: string) => json.replace(`"${token}":`, `"${token}":"other","${token}":`)
}

function jwt(claims: object): string {
  return `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`
}

/** The login itself is as it should be then, so that there is a refresh, and that is what fails. */
const isExpired = (what: string) => /^J05 a lifetime (of|below) nought|^J06/.test(what)

/** Who keeps a refresh token tells what became of that, too: somebody has to log in, or it is shown once more. */
const keepsTokens = ({ kind, isCode }: Way) => !isCode && /^(refresh-token|authorization-code)$/.test(kind)

describe.each(ways)('$name', (way) => {
  const rows = [...WRONG, ...(way.isOAuth ? WRONG_OAUTH : [])]

  test.each(rows)(
    '%s: nothing is injected, a stable code, no word of the issuer, and few requests',
    async (what, quirk, code) => {
      const attacked = await build(way)
      const { clock, ask, hammer, asked } = attacked
      answerTo(way, issuer, () => quirk(way, clock.now()))
      const refreshes = keepsTokens(way) || (way.isCode && isExpired(what))
      const expected = refreshes
        ? /^(credential-(failed|unavailable)|login-required)$/
        : new RegExp(`^credential-${code}$`)
      expect(await ask()).toMatchObject({ code: expect.stringMatching(expected) })
      expect(asked()).toBe(way.isCode && isExpired(what) ? 2 : 1)
      if (way.isCode) return
      for (const outcome of await Promise.all(Array.from({ length: 50 }, hammer))) expect(outcome).toBeInstanceOf(Error)
      expect(asked()).toBe(1)
      // At 0.5 to 60 s between one try and the next, doubling: who asks ten times in twenty seconds makes a few requests.
      for (let round = 0; round < 10; round++) {
        expect(await hammer()).toBeInstanceOf(Error)
        clock.advance(2 * SECOND)
      }
      expect(asked()).toBeLessThanOrEqual(6)
    },
  )

  test.each<[string, () => object | Promise<object>]>([
    ['an expired certificate', () => authority.issue(['login.test'], { expired: true })],
    ['a certificate for another name', () => authority.issue(['evil.test'])],
    ['a certificate of nobody', () => makeSelfSigned(['login.test'])],
    ['TLS 1.1', async () => ({ ...(await authority.issue(['login.test'])), ...OLD })],
  ])('J14: to an issuer with %s nothing is sent', async (_what, identity) => {
    const elsewhere = await startQuirkIssuer((await identity()) as { cert: string; key: string }) // and what is added
    onTestFinished(() => elsewhere.stop())
    const { ask } = await attack(way, { issuer: elsewhere, store, ca: authority.certPem })
    expect(await ask()).toMatchObject({ code: expect.stringMatching(/^credential-(failed|unavailable)$/) })
    expect(elsewhere.requests).toHaveLength(0)
  })
})

describe.each(ways.filter(({ isCode }) => !isCode))('$name', (way) => {
  test('J08: is left alone for as long as it asks, and for ten minutes at most', async () => {
    for (const [said, seconds] of [
      ['30', 30],
      [String(1e9), 600],
      ['date', 90],
    ] as const) {
      const { clock, ask, asked } = await build(way)
      const until = new Date(Math.ceil(clock.now() / SECOND) * SECOND + 90 * SECOND).toUTCString()
      answerTo(way, issuer, { status: 503, headers: { 'retry-after': said === 'date' ? until : said } })
      expect(await ask()).toMatchObject({ code: 'credential-unavailable', retryAfter: seconds })
      clock.advance(seconds * SECOND - 1)
      await ask()
      expect(asked()).toBe(1)
      answerTo(way, issuer, () => way.right({}, clock.now()))
      clock.advance(2)
      expect(await ask()).toMatchObject({ generation: 1 })
    }
  })

  test('J09: what is still good serves while the issuer is down, and nothing does after its end', async () => {
    const { clock, ask, hammer, asked } = await build(way)
    answerTo(way, issuer, () => way.right({ expires_in: 600 }, clock.now()))
    expect(await ask()).toMatchObject({ generation: 1 })
    answerTo(way, issuer, { status: 500, body: HTML })
    clock.advance(580 * SECOND)
    expect(await ask()).toMatchObject({ generation: 1 })
    clock.advance(11 * SECOND)
    expect(await ask()).toMatchObject({ code: 'credential-unavailable' })
    for (let round = 0; round < 120; round++) {
      clock.advance(5 * SECOND)
      expect(await hammer()).toBeInstanceOf(Error)
    }
    expect(asked()).toBeLessThan(25)
  })

  test('J11: 100 who find nothing make one request', async () => {
    const { clock, hammer, asked } = await build(way)
    answerTo(way, issuer, () => ({ ...way.right({}, clock.now()), delayMs: 20 }))
    const outcomes = await Promise.all(Array.from({ length: 100 }, hammer))
    expect(new Set(outcomes.map((one) => (one instanceof Error ? one : one?.generation)))).toEqual(new Set([1]))
    expect(asked()).toBe(1)
  })

  test('J16: the same token with ever less of its life makes few requests', async () => {
    const { clock, hammer, asked } = await build(way)
    const endsAt = clock.now() + HOUR
    answerTo(way, issuer, () => way.right({ expires_in: (endsAt - clock.now()) / SECOND }, clock.now()))
    while (clock.now() < endsAt - 11 * SECOND) {
      expect(await hammer()).toMatchObject({ generation: 1 })
      clock.advance(2 * SECOND)
    }
    expect(asked()).toBeLessThan(20)
  })
})

test.each(ways.filter(({ kind }) => kind !== 'http-mint'))(
  'J14: for $name an endpoint in the clear is refused as a setting',
  (way) => {
    expect(sourceSettings.safeParse(settingsOf(way, 'https://login.test')).success).toBe(true)
    const { error } = sourceSettings.safeParse(settingsOf(way, 'http://login.test'))
    expect(error?.issues.map(({ message }) => message).join()).toContain('use https://')
  },
)

const OLD = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }

describe('J10 J15: what never ends is over at the deadline', () => {
  test.each<[string, (way: Way, now: number) => Quirk]>([
    ['silence', () => ({ instead: 'silence' })],
    ['a byte at a time', (way, now) => ({ ...way.right({}, now), dripMs: 30 })],
    ['103 for ever', () => ({ instead: '1xx' })],
  ])('%s', async (_what, quirk) => {
    const all = await Promise.all(ways.map((way) => build(way, { timeoutMs: 1_000 })))
    issuer.answer(({ target }) => {
      const found = all.find(({ way }) => way.isTarget(target))
      return found ? quirk(found.way, found.clock.now()) : { body: federated() }
    })
    const outcomes = await Promise.all(all.map(({ ask }) => ask()))
    for (const outcome of outcomes) expect(outcome).toMatchObject({ code: 'credential-unavailable' })
  })
})

function federated(): object {
  const issued_token_type = 'urn:ietf:params:oauth:token-type:access_token'
  return { access_token: 'FEDERATED_CANARY', issued_token_type, token_type: 'Bearer', expires_in: 3600 }
}

type Right = readonly [what: string, members: Members, lifetimeMs: number]

const RIGHT: readonly Right[] = [
  ['J03 bearer', { token_type: 'bearer' }, HOUR],
  ['J03 BEARER', { token_type: 'BEARER' }, HOUR],
  ['J04 expires_in absent', { expires_in: undefined }, 300 * SECOND],
  [
    'J04 expires_in absent, and the token says',
    { expires_in: undefined, access_token: jwt({ exp: SOON }) },
    600 * SECOND,
  ],
  ['J05 expires_in null', { expires_in: null }, 300 * SECOND],
  ['J05 expires_in empty', { expires_in: '' }, 300 * SECOND],
  ['J05 expires_in a string', { expires_in: '3600' }, HOUR],
  ['J05 expires_in with its unit', { expires_in: '3600s' }, HOUR],
  ['J05 expires_in with a fraction', { expires_in: 3600.5 }, HOUR + 500],
  ['J05 expires_in of ages', { expires_in: 1e12 }, 24 * HOUR],
  ['J20 members that nobody asked for', { id_token: 'x', instance_url: 'https://a.test', issued_at: '1' }, HOUR],
  ['d.0 scope null', { scope: null }, HOUR],
  ['d.0 a copied exp that ends sooner', { access_token: jwt({ exp: SOON }) }, 600 * SECOND],
]

test.each(ways.filter(({ isOAuth }) => isOAuth))(
  'd.0: $name is asked by a form, and for JSON that is not compressed',
  async (way) => {
    const { clock, ask } = await build(way)
    answerTo(way, issuer, () => way.right({}, clock.now()))
    expect(await ask()).toMatchObject({ generation: 1 })
    const { method, rawHeaders } = issuer.requests.findLast(({ target }) => way.isTarget(target)) ?? { rawHeaders: [] }
    const header = (name: string) => rawHeaders[rawHeaders.findIndex((each) => each.toLowerCase() === name) + 1]
    expect([method, header('accept'), header('accept-encoding')]).toEqual(['POST', 'application/json', 'identity'])
    expect(header('content-type')).toMatch(/^application\/x-www-form-urlencoded/)
  },
)

describe.each(ways.filter(({ isOAuth, isCode }) => isOAuth && !isCode))('$name takes', (way) => {
  test.each(RIGHT)('%s', async (_what, members, lifetimeMs) => {
    const { clock, supply } = await build(way)
    answerTo(way, issuer, way.right(members))
    expect(await supply.obtain()).toMatchObject({ expiresAt: clock.now() + lifetimeMs })
  })

  test('d.0 a 201, and an expires_in beyond all numbers', async () => {
    const { clock, ask } = await build(way)
    const right = way.right({ expires_in: 42 })
    answerTo(way, issuer, { ...right, status: 201, body: JSON.stringify(right.body).replace(':42', ':1e400') })
    expect(await ask()).toMatchObject({ expiresAt: clock.now() + 24 * HOUR })
  })
})

const DISCOVERED = ways.filter(({ kind, isOAuth }) => isOAuth && kind !== 'google-wif' && kind !== 'entra')

describe.each(DISCOVERED)('$name, where metadata name the endpoint', (way) => {
  test.each<[string, (metadata: object) => Quirk]>([
    ['J01 HTML', () => ({ body: HTML })],
    ['J01 half of it', (metadata) => ({ body: JSON.stringify(metadata).slice(0, -2) })],
    ['J01 a list', (metadata) => ({ body: [metadata] })],
    ['J09 500', () => ({ status: 500, body: HTML })],
    ['J10 a reset', () => ({ instead: 'reset' })],
    ['J13 a redirect', () => ({ status: 302, headers: { location: 'https://evil.test/' }, body: HTML })],
    ['J14 an endpoint in the clear', (metadata) => ({ body: { ...metadata, token_endpoint: 'http://login.test/t' } })],
    ['J14 another issuer', (metadata) => ({ body: { ...metadata, issuer: `https://${ISSUER_TEXT}.test` } })],
    ['J15 1 MiB', (metadata) => ({ body: JSON.stringify(metadata) + ' '.repeat(2 ** 20) })],
    ['J21 a name twice', (metadata) => ({ body: JSON.stringify(metadata).replace('{', '{"token_endpoint":"x",') })],
  ])('%s: nothing that is spent is sent, and few requests', async (_what, quirk) => {
    // Its own place: what another test has begun may ask on, for a token that is refreshed.
    const place = `/idp-${randomUUID()}`
    const at = `https://login.test:${issuer.port}${place}`
    const { clock, ask, hammer } = await build(way, { tokenEndpoint: undefined, issuer: at })
    issuer.answer(() => quirk({ issuer: at, token_endpoint: `${at}/token`, authorization_endpoint: `${at}/authorize` }))
    expect(await ask()).toMatchObject({ code: expect.stringMatching(/^credential-(failed|unavailable)$/) })
    for (let round = 0; round < (way.isCode ? 0 : 10); round++) {
      expect(await hammer()).toBeInstanceOf(Error)
      clock.advance(2 * SECOND)
    }
    const asked = issuer.requests.filter(({ target }) => target.includes(place))
    expect(asked.length).toBeGreaterThan(0)
    expect(asked.filter(({ method }) => method !== 'GET')).toEqual([])
    // Two places it can be in, each time.
    expect(asked.length).toBeLessThanOrEqual(12)
    expect(JSON.stringify(asked)).not.toMatch(/CANARY/)
  })
})

test('J23: twenty that end in the same second are not renewed in the same second', async () => {
  const [way] = ways
  if (!way) throw new Error('no way')
  const chance = Array.from({ length: 20 }, (_, one) => (one * 0.61803) % 1)
  const twenty = await Promise.all(
    chance.map((random) => attack(way, { issuer, store, ca: authority.certPem, random: () => random })),
  )
  answerTo(way, issuer, () => way.right())
  await Promise.all(twenty.map(({ ask }) => ask()))
  const renewedAt: number[] = []
  for (let second = 1; second < 3_590; second++) {
    for (const { clock, supply } of twenty) {
      clock.advance(SECOND)
      await supply.obtain()
      if (supply.state().phase !== 'refreshing') continue
      renewedAt.push(second)
      await eventually(() => (supply.state().phase === 'fresh' ? true : undefined), 'a token that is renewed')
    }
  }
  expect(renewedAt).toHaveLength(20)
  expect(new Set(renewedAt).size).toBeGreaterThan(15)
  expect(Math.min(...renewedAt)).toBeGreaterThanOrEqual(2_700)
  expect(Math.max(...renewedAt) - Math.min(...renewedAt)).toBeGreaterThan(240)
  expect(Math.max(...renewedAt)).toBeLessThanOrEqual(3_061)
})
