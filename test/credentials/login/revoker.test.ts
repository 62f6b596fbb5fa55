import { inspect } from 'node:util'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { StoredLogin } from '../../../src/core/holdings.ts'
import { Problem } from '../../../src/core/problem.ts'
import { Secret } from '../../../src/core/secret.ts'
import { type RevocationEvent, Revoker, type RevokerTerms } from '../../../src/credentials/login/revoker.ts'
import { z } from '../../../src/forms/zod.ts'
import { TokenEndpoint } from '../../../src/oauth/endpoint.ts'
import { endpointFields } from '../../../src/oauth/endpoint-settings.ts'
import { type Authority, makeAuthority } from '../../support/certificates.ts'
import { type Quirk, type QuirkIssuer, startQuirkIssuer } from '../../support/quirk-issuer.ts'
import { loopback, makeSourceTools } from '../../support/source-tools.ts'

const PLACE = { connection: 'crm', identity: 'caller:ann' }
const LEAVINGS = { refreshToken: new Secret('RT_CANARY'), accessTokens: [new Secret('AT_CANARY')] }

let authority: Authority
let issuer: QuirkIssuer

beforeAll(async () => {
  authority = await makeAuthority()
})

beforeEach(async () => {
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
})

afterEach(() => issuer.stop())

/** Answers one after the other, the last of them for ever. */
function answers(...quirks: Quirk[]): void {
  issuer.answer(() => quirks[issuer.requests.length - 1] ?? quirks.at(-1) ?? {})
}

function shown(): (string | null)[] {
  return issuer.requests.map(({ body }) => new URLSearchParams(body).get('token'))
}

function build(more: Partial<RevokerTerms> = {}, settings: object = {}) {
  const { tools } = makeSourceTools({ secret: 'unused', ca: authority.certPem })
  const endpoint = new TokenEndpoint(
    z.strictObject(endpointFields).parse({
      tokenEndpoint: `https://login.test:${issuer.port}/token`,
      clientId: 'my-app',
      clientAuth: 'none',
      tls: { ca: { file: 'ca.pem' } },
      allowPrivate: loopback,
      ...settings,
    }),
    tools,
  )
  const events: RevocationEvent[] = []
  const revoker = new Revoker({
    endpoint,
    logins: { find: () => undefined },
    revocationEndpoint: `https://login.test:${issuer.port}/revoke`,
    tell: (event) => void events.push(event),
    pausesMs: [1, 1],
    ...more,
  })
  return { revoker, events }
}

const BUSY = { status: 503 }
const json = { 'content-type': 'application/json' }

describe('what may pass', () => {
  test('is told at once, and tried again until it is done', async () => {
    answers(BUSY, { instead: 'reset' }, {})
    const { revoker, events } = build()
    const { first, last } = revoker.begin(PLACE, LEAVINGS)
    expect(await first).toEqual({
      outcome: 'pending',
      tries: 1,
      reason: expect.stringMatching(/^login\.test:\d+ answered 503$/),
    })
    expect(await last).toEqual({ outcome: 'revoked', tries: 3 })
    expect(events).toEqual([{ place: PLACE, revocation: await last, warnings: [] }])
  })

  test('is given up after so many tries, with the last reason', async () => {
    answers(BUSY)
    const { last } = build().revoker.begin(PLACE, LEAVINGS)
    expect(await last).toEqual({ outcome: 'failed', tries: 3, reason: expect.stringMatching(/answered 503$/) })
    expect(shown()).toEqual(['RT_CANARY', 'RT_CANARY', 'RT_CANARY'])
  })

  test('is tried no earlier than the issuer says', async () => {
    answers({ status: 503, headers: { 'retry-after': '1' } }, {})
    const before = performance.now()
    const { last } = build().revoker.begin(PLACE, { accessTokens: LEAVINGS.accessTokens })
    expect(await last).toMatchObject({ outcome: 'revoked', tries: 2 })
    expect(performance.now() - before).toBeGreaterThanOrEqual(995)
  })

  test('is not begun anew where a part is done', async () => {
    answers({}, BUSY, {})
    const { last } = build().revoker.begin(PLACE, LEAVINGS)
    expect(await last).toEqual({ outcome: 'revoked', tries: 2 })
    expect(shown()).toEqual(['RT_CANARY', 'AT_CANARY', 'AT_CANARY'])
  })

  test('is left alone where somebody has logged in there since: some issuers would end that, too', async () => {
    answers(BUSY)
    const { last } = build({ logins: { find: () => LOGIN } }).revoker.begin(PLACE, LEAVINGS)
    expect(await last).toMatchObject({ outcome: 'failed', tries: 1, reason: expect.stringMatching(/logged in there/) })
    expect(issuer.requests).toHaveLength(1)
  })

  test('is over when everything closes, and that is told', async () => {
    answers(BUSY)
    const ending = new AbortController()
    const { revoker, events } = build({ ending: ending.signal, pausesMs: [600_000] })
    const { first, last } = revoker.begin(PLACE, LEAVINGS)
    expect(await first).toMatchObject({ outcome: 'pending' })
    ending.abort()
    expect(await last).toEqual({
      outcome: 'failed',
      tries: 1,
      reason: expect.stringMatching(/^Sallyport was stopped before it was done; login\.test:\d+ answered 503$/),
    })
    expect(events).toHaveLength(1)
  })

  test('is not tried once more when everything closes, let alone as often as there was time for', async () => {
    const ending = new AbortController()
    const asked: unknown[] = []
    const endpoint = {
      async revoke(): Promise<undefined> {
        asked.push(1)
        throw new Problem('credential-unavailable', { reason: 'busy' })
      },
    }
    const { revoker } = build({ endpoint, ending: ending.signal, pausesMs: [600_000, 600_000, 600_000] })
    const { first, last } = revoker.begin(PLACE, LEAVINGS)
    await first
    ending.abort()
    await last
    // Every other try would follow in the very turns behind this one.
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate)
    expect(asked).toHaveLength(1)
  })
})

const LOGIN: StoredLogin = {
  ...PLACE,
  id: '2',
  isAlive: true,
  expiresAt: undefined,
  createdAt: 0,
  createdBy: 'ann',
}

test('an issuer that takes its time is not waited for, and is asked once', async () => {
  issuer.answer({ instead: 'silence' })
  const ending = new AbortController()
  const { revoker } = build({ patienceMs: 20, ending: ending.signal })
  const { first, last } = revoker.begin(PLACE, LEAVINGS)
  expect(await first).toEqual({ outcome: 'pending', tries: 1, reason: 'the issuer has not answered yet' })
  await issuer.received(1)
  expect(shown()).toEqual(['RT_CANARY'])
  ending.abort()
  await last
})

const UNKNOWN = { status: 401, headers: json, body: { error: 'invalid_client' } }

describe('what lasts is told, and not tried again', () => {
  test.each<[string, Quirk, RegExp]>([
    ['a client that is not known', UNKNOWN, /answered 401 invalid_client: compare clientId/],
    ['a redirect', { status: 302 }, /redirects are not followed/],
    ['refresh tokens are not revoked', unsupported(), /revokes no refresh tokens \(unsupported_token_type\)$/],
  ])('%s', async (_what, quirk, reason) => {
    answers(quirk)
    const { first, last } = build().revoker.begin(PLACE, LEAVINGS)
    expect(await last).toEqual({ outcome: 'failed', tries: 1, reason: expect.stringMatching(reason) })
    expect(await first).toEqual(await last)
  })

  test('access tokens that are not revoked by themselves are no failure', async () => {
    answers({}, unsupported())
    const { last } = build().revoker.begin(PLACE, LEAVINGS)
    expect(await last).toEqual({
      outcome: 'revoked',
      tries: 1,
      reason: expect.stringMatching(/until it expires: the issuer revokes none/),
    })
  })

  test('an access token that is refused for good is none either, once the refresh token has ended', async () => {
    answers({}, { status: 400, headers: json, body: { error: 'invalid_request' } })
    expect(await build().revoker.begin(PLACE, LEAVINGS).last).toEqual({
      outcome: 'revoked',
      tries: 1,
      reason: expect.stringMatching(/until it expires: login\.test:\d+ answered 400 invalid_request/),
    })
    answers(UNKNOWN)
    const alone = { accessTokens: LEAVINGS.accessTokens }
    expect(await build().revoker.begin(PLACE, alone).last).toMatchObject({ outcome: 'failed', tries: 1 })
  })

  test('what is no token any more is none, however the issuer says it', async () => {
    answers({ status: 400, headers: json, body: { error: 'invalid_token' } })
    expect(await build().revoker.begin(PLACE, LEAVINGS).last).toEqual({ outcome: 'revoked', tries: 1 })
  })
})

function unsupported(): Quirk {
  return { status: 400, headers: json, body: { error: 'unsupported_token_type', error_description: 'RT_CANARY' } }
}

test('no token is in what is told, nor in the revoker while it waits', async () => {
  answers({ status: 400, headers: json, body: { error: 'RT_CANARY', error_description: 'AT_CANARY' } })
  const ending = new AbortController()
  const { revoker, events } = build({ pausesMs: [600_000], ending: ending.signal })
  const { first, last } = revoker.begin(PLACE, LEAVINGS)
  await first
  expect(inspect(revoker, { depth: 20, showHidden: true })).not.toContain('CANARY')
  ending.abort()
  await last
  expect(inspect([events, await first, await last], { depth: 20 })).not.toContain('CANARY')
})

test('a client without a place to ask at, and nothing to ask for, says so', async () => {
  const { revoker } = build({ revocationEndpoint: undefined })
  expect(await revoker.begin(PLACE, LEAVINGS).last).toEqual({ outcome: 'not-offered', tries: 0 })
  expect(await revoker.begin(PLACE, { accessTokens: [undefined] }).last).toEqual({ outcome: 'nothing', tries: 0 })
  expect(issuer.requests).toEqual([])
})
