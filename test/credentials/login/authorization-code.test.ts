import { inspect } from 'node:util'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { StoredLogin } from '../../../src/core/holdings.ts'
import type { Purpose } from '../../../src/core/purpose.ts'
import { Secret } from '../../../src/core/secret.ts'
import type { Supply } from '../../../src/credentials/credential.ts'
import { loginState } from '../../../src/credentials/login/code-desk.ts'
import type { LoginDesk } from '../../../src/credentials/login/desk.ts'
import type { Logins } from '../../../src/credentials/login/logins.ts'
import { buildSupply, sourceSettings } from '../../../src/credentials/registry.ts'
import type { Store } from '../../../src/store/store.ts'
import { type Authority, makeAuthority } from '../../support/certificates.ts'
import { openLoginStore } from '../../support/login-store.ts'
import { type Quirk, type QuirkIssuer, startQuirkIssuer, tokenAnswer } from '../../support/quirk-issuer.ts'
import { loopback, makeSourceTools, type TestTools } from '../../support/source-tools.ts'

const HOUR_MS = 3_600_000
const ME = 'operator ann'
const redirectUri = 'http://127.0.0.1:1/login/crm/callback'

let authority: Authority
let issuer: QuirkIssuer
let store: Store
let count = 0

beforeAll(async () => {
  authority = await makeAuthority()
  store = await openLoginStore()
})

beforeEach(async () => {
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
  issuer.answer(given)
  count += 1
})

afterEach(() => issuer.stop())

function given(): Quirk {
  const number = issuer.requests.length
  return tokenAnswer({ access_token: `at-${number}`, refresh_token: `RT_CANARY-${number}` })
}

interface Built extends TestTools {
  readonly supply: Supply
  readonly desk: LoginDesk
}

function build(identity: unknown = 'shared', more: object = {}, logins: Logins = store.logins): Built {
  const tools = makeSourceTools({
    secret: 'unused',
    ca: authority.certPem,
    logins,
    name: `crm-${count}`,
  })
  const settings = sourceSettings.parse({
    kind: 'authorization-code',
    tokenEndpoint: `https://login.test:${issuer.port}/token`,
    authorizationEndpoint: `https://login.test:${issuer.port}/authorize`,
    clientId: 'my-app',
    clientAuth: 'none',
    scope: 'openid offline_access',
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
    identity,
    ...more,
  })
  const loginUrl = (connection: string, caller: string | undefined) => `https://here.test/${connection}?${caller}`
  const supply = buildSupply(settings, { ...tools.tools, loginUrl })
  if (!supply.desk) throw new Error('nobody can log in')
  return { ...tools, supply, desk: supply.desk }
}

function purposeOf(name: string, claims: Readonly<Record<string, unknown>> = {}): Purpose {
  const token = { secret: new Secret('t'), claims: new Map(Object.entries(claims)) }
  return { caller: { name, method: 'jwt', token }, method: 'GET', path: '/', fields: [] }
}

async function logIn({ desk }: Pick<Built, 'desk'>, caller?: string): Promise<void> {
  const { state } = await desk.begin({ caller, redirectUri, holder: ME })
  await desk.finish(new URLSearchParams({ state, code: 'CODE_CANARY' }), { holder: ME, by: 'ann' })
}

async function outcomeOf({ supply }: Pick<Built, 'supply'>, purpose = purposeOf('app')): Promise<string> {
  const text = async () => (await supply.obtain(purpose))?.secret.reveal() ?? 'none'
  return text().catch((problem) => problem.detail ?? String(problem))
}

describe('a login', () => {
  test('exchanges the code with the verifier and the very redirect URI, and gives a token at once', async () => {
    const built = build()
    const { url, state } = await built.desk.begin({ caller: undefined, redirectUri, holder: ME })
    await built.desk.finish(new URLSearchParams({ state, code: 'the-code' }), { holder: ME, by: 'ann' })
    const sent = new URLSearchParams(issuer.requests[0]?.body)
    expect(Object.fromEntries(sent)).toMatchObject({
      grant_type: 'authorization_code',
      code: 'the-code',
      redirect_uri: redirectUri,
      client_id: 'my-app',
      code_verifier: expect.stringMatching(/^[\w-]{43}$/),
    })
    expect(new URL(url).searchParams.get('redirect_uri')).toBe(redirectUri)
    expect(await outcomeOf(built)).toBe('at-1')
    expect(issuer.requests).toHaveLength(1)
    expect(built.desk.list()).toMatchObject([{ caller: undefined, state: 'ok', login: { createdBy: 'ann' } }])
  })

  test('is refreshed by what came with it, and forgotten by a logout', async () => {
    const built = build()
    await logIn(built)
    await outcomeOf(built)
    built.clock.advance(HOUR_MS)
    expect(await outcomeOf(built)).toBe('at-2')
    expect(new URLSearchParams(issuer.requests[1]?.body).get('refresh_token')).toBe('RT_CANARY-1')
    await built.desk.logout(undefined)
    expect(await outcomeOf(built)).toMatch(
      /^Credential for user identity\('app'\) is not found for the connection 'crm-\d+'\./,
    )
  })

  test('in the place of another one has its token used from the very next ask', async () => {
    const built = build()
    await logIn(built)
    expect(await outcomeOf(built)).toBe('at-1')
    await logIn(built)
    expect(await outcomeOf(built)).toBe('at-2')
  })

  test('that is taken away while a refresh is under way leaves no token behind', async () => {
    const built = build()
    await logIn(built)
    await outcomeOf(built)
    built.clock.advance(HOUR_MS)
    issuer.answer(() => ({ ...given(), delayMs: 100 }))
    const late = outcomeOf(built)
    await issuer.received(2)
    await built.desk.logout(undefined)
    expect(await late).not.toMatch(/^at-/)
    expect(await outcomeOf(built)).toMatch(/^Credential for user/)
  })

  test('that is taken no more sends people to log in, and asks the issuer no more', async () => {
    const built = build()
    await logIn(built)
    await outcomeOf(built)
    issuer.answer({ status: 400, body: { error: 'invalid_grant', error_description: 'RT_CANARY' } })
    built.clock.advance(HOUR_MS)
    for (let round = 0; round < 3; round++) {
      expect(await outcomeOf(built)).toMatch(
        /Please login first to the connection by visiting https:\/\/here\.test\/crm-\d+\?undefined$/,
      )
      built.clock.advance(HOUR_MS)
    }
    expect(issuer.requests).toHaveLength(2)
    expect(built.desk.list()).toMatchObject([{ state: 'needs-login' }])
    issuer.answer(given)
    await logIn(built)
    expect(await outcomeOf(built)).toBe('at-3')
  })

  test('without a refresh token is refused with the remedy, and nothing is kept', async () => {
    issuer.answer(tokenAnswer())
    const built = build()
    await expect(logIn(built)).rejects.toMatchObject({ reason: expect.stringContaining('offline_access') })
    expect(built.desk.list()).toEqual([])
  })

  test.each([
    [
      { status: 400, body: { error: 'invalid_grant', error_description: 'CODE_CANARY' } },
      /answered 400 invalid_grant$/,
    ],
    [{ instead: 'reset' } as const, /broke off/],
    [{ body: 'CODE_CANARY' }, /not a JSON object/],
  ])('whose code is not taken says so, without a word of the issuer: %j', async (quirk, expected) => {
    issuer.answer(quirk)
    const problem: unknown = await logIn(build()).catch((error: unknown) => error)
    expect(problem).toMatchObject({ reason: expect.stringMatching(expected) })
    expect(inspect(problem, { depth: 10 })).not.toContain('CODE_CANARY')
  })

  test('keeps when the issuer said that it ends', async () => {
    issuer.answer(tokenAnswer({ refresh_token: 'r', refresh_token_expires_in: 86_400 }))
    const built = build()
    const before = built.clock.now()
    await logIn(built)
    expect(built.desk.list()[0]?.login.expiresAt).toBe(before + 86_400_000)
  })

  test.each([
    ['ok', 96],
    ['expiring', 97],
    ['expiring', 99.99],
    ['needs-login', 100],
  ] as const)('that lives for a hundred days is %s after %d of them', (state, days) => {
    expect(loginState(heldFor(100), days * DAY_MS)).toBe(state)
  })

  test('that lives for ten hours is expiring in its last one, and one without an end never is', () => {
    const tenHours = heldFor(10 / 24)
    expect([loginState(tenHours, 8.9 * HOUR_MS), loginState(tenHours, 9 * HOUR_MS)]).toEqual(['ok', 'expiring'])
    expect(loginState({ ...tenHours, expiresAt: undefined }, 1_000 * DAY_MS)).toBe('ok')
  })
})

const DAY_MS = 86_400_000

function heldFor(days: number): StoredLogin {
  const whose = { id: '1', connection: 'crm', identity: 'shared', createdBy: 'ann' }
  return { ...whose, isAlive: true, createdAt: 0, expiresAt: days * DAY_MS }
}

describe('what has been begun', () => {
  test('is finished once, by whoever began it, within ten minutes', async () => {
    const { desk, clock } = build()
    const begin = () => desk.begin({ caller: undefined, redirectUri, holder: ME })
    const finish = (state: string, holder = ME) =>
      desk.finish(new URLSearchParams({ state, code: 'c' }), { holder, by: 'ann' }).then(
        () => 'done',
        ({ reason }) => reason,
      )
    const { state } = await begin()
    expect(await finish(state, 'somebody else')).toMatch(/^no such login/)
    expect(await finish(state)).toBe('done')
    expect(await finish(state)).toMatch(/^no such login/)
    const late = await begin()
    clock.advance(600_000)
    expect(await finish(late.state)).toMatch(/^no such login/)
    expect(await finish('')).toMatch(/^no such login/)
    expect(issuer.requests).toHaveLength(1)
  })

  test('is not finished by two states at once', async () => {
    const { desk } = build()
    const { state } = await desk.begin({ caller: undefined, redirectUri, holder: ME })
    const answer = new URLSearchParams([
      ['state', state],
      ['state', state],
      ['code', 'c'],
    ])
    await expect(desk.finish(answer, { holder: ME, by: 'ann' })).rejects.toMatchObject({ code: 'credential-failed' })
  })

  test('is forgotten once a thousand others have been begun since, or twenty of the same caller', async () => {
    const { desk } = build('per-caller')
    const begin = (caller: string) => desk.begin({ caller, redirectUri, holder: ME })
    const first = await begin('ann')
    const second = await begin('bob')
    for (let round = 0; round < 1_000; round++) await begin('bob')
    expect([first, second].map(({ state }) => desk.isOpen(state, ME))).toEqual([true, false])
    for (let round = 0; round < 1_000; round++) await begin(`other-${round}`)
    expect(desk.isOpen(first.state, ME)).toBe(false)
  })
})

test('an issuer that does not say where it is is not asked by everybody who comes', async () => {
  issuer.answer({ status: 500 })
  const issuerAlone = { tokenEndpoint: undefined, authorizationEndpoint: undefined }
  const { desk } = build('shared', { ...issuerAlone, issuer: `https://login.test:${issuer.port}` })
  const begin = () => desk.begin({ caller: undefined, redirectUri, holder: ME }).then(String, String)
  for (const said of [...(await Promise.all([begin(), begin()])), await begin()]) expect(said).toMatch(/answered 500/)
  expect(issuer.requests).toHaveLength(1)
})

describe('whose login it is', () => {
  test('per caller: nobody has the token of another', async () => {
    const built = build('per-caller')
    await logIn(built, 'ann')
    expect(await outcomeOf(built, purposeOf('ann'))).toBe('at-1')
    expect(await outcomeOf(built, purposeOf('bob'))).toMatch(/user identity\('bob'\).*\?bob$/)
    await logIn(built, 'bob')
    expect(await outcomeOf(built, purposeOf('bob'))).toBe('at-2')
    expect([built.desk.stateFor('ann'), built.desk.stateFor('eve')]).toEqual(['ok', 'needs-login'])
    await built.desk.logout('ann')
    expect(await outcomeOf(built, purposeOf('ann'))).toMatch(/user identity\('ann'\)/)
    expect(await outcomeOf(built, purposeOf('bob'))).toBe('at-2')
  })

  test('by a claim: the same person by two names, and nobody without one', async () => {
    const built = build({ claim: 'email' })
    await logIn(built, 'ann@example.com')
    for (const name of ['laptop', 'phone'])
      expect(await outcomeOf(built, purposeOf(name, { email: 'ann@example.com' }))).toBe('at-1')
    expect(await outcomeOf(built, purposeOf('laptop', { email: 'bob@example.com' }))).toMatch(
      /identity\('bob@example.com'\)/,
    )
    for (const email of [undefined, '', 7, ['ann@example.com'], 'a'.repeat(257)])
      expect(await outcomeOf(built, purposeOf('laptop', { email }))).toMatch(/which says whose login it is$/)
  })

  test('by an email that nobody has verified: nobody’s', async () => {
    const built = build({ claim: 'email' })
    await logIn(built, 'ann@example.com')
    const asking = (more: object) => outcomeOf(built, purposeOf('laptop', { email: 'ann@example.com', ...more }))
    for (const email_verified of [false, 'false'])
      expect(await asking({ email_verified })).toMatch(/identity-missing: .* nobody has verified the email/)
    expect(await asking({ email_verified: true })).toBe('at-1')
  })

  test('d.0: one for all never stands for one of each, nor the other way round', async () => {
    const shared = build('shared')
    await logIn(shared)
    expect(await outcomeOf(build('per-caller'), purposeOf('shared'))).toMatch(/^Credential for user/)
    expect(await outcomeOf(build({ claim: 'sub' }), purposeOf('x', { sub: 'shared' }))).toMatch(/^Credential for user/)
    const own = build('per-caller')
    await logIn(own, 'ann')
    await shared.desk.logout(undefined)
    expect(await outcomeOf(build('shared'), purposeOf('ann'))).toMatch(/^Credential for user/)
    expect(await outcomeOf(build({ claim: 'sub' }), purposeOf('ann', { sub: 'ann' }))).toMatch(/^Credential for user/)
  })

  test.each([
    ['shared', 'ann', /leave the caller out$/],
    ['per-caller', undefined, /say whose, as --caller NAME$/],
    ['per-caller', '', /say whose, as --caller NAME$/],
    [{ claim: 'sub' }, 'x'.repeat(257), /at most 256/],
  ])('has to be said as the settings want it: %j, %j', async (identity, caller, expected) => {
    await expect(build(identity).desk.begin({ caller, redirectUri, holder: ME })).rejects.toMatchObject({
      reason: expect.stringMatching(expected),
    })
  })
})

/** Another connection, that exchanges the token of this one. */
function childOf({ tools, supply }: Built): Pick<Built, 'supply'> {
  const exchange = sourceSettings.parse({
    kind: 'token-exchange',
    tokenEndpoint: `https://login.test:${issuer.port}/token`,
    subject: { from: 'connection', connection: 'crm' },
    issuedTokenType: 'optional',
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
  })
  return { supply: buildSupply(exchange, { ...tools, connection: () => supply }) }
}

test('another connection that needs the login says where to log in, and goes on at once when somebody has', async () => {
  const built = build('per-caller')
  const child = childOf(built)
  for (let round = 0; round < 2; round++)
    expect(await outcomeOf(child, purposeOf('ann'))).toMatch(/user identity\('ann'\).*\?ann$/)
  await logIn(built, 'ann')
  expect(await outcomeOf(child, purposeOf('ann'))).toBe('at-2')
})

test('what another connection got in exchange ends with the login, and is not that of the next one', async () => {
  const built = build('per-caller')
  const child = childOf(built)
  await logIn(built, 'ann')
  expect([await outcomeOf(child, purposeOf('ann')), await outcomeOf(child, purposeOf('ann'))]).toEqual(['at-2', 'at-2'])
  await logIn(built, 'ann')
  expect(await outcomeOf(child, purposeOf('ann'))).toBe('at-4')
  await built.desk.logout('ann')
  expect(await outcomeOf(child, purposeOf('ann'))).toMatch(/^Credential for user/)
})

test('what one issuer gave is never shown to another, nor by another client, when the settings are changed', async () => {
  await logIn(build())
  const other = await startQuirkIssuer(await authority.issue(['login.test']))
  other.answer(tokenAnswer({ access_token: 'at-other' }))
  const elsewhere = { tokenEndpoint: `https://login.test:${other.port}/token` }
  try {
    for (const more of [elsewhere, { clientId: 'another' }]) {
      const built = build('shared', more)
      expect(await outcomeOf(built)).toMatch(/^Credential for user/)
      expect(built.supply.state().lastError?.reason).toMatch(/at another issuer, or of another client/)
    }
    expect([other.requests.length, issuer.requests.length]).toEqual([0, 1])
    expect(await outcomeOf(build())).toBe('at-1')
  } finally {
    await other.stop()
  }
})

test('a logout while a kept token is being read leaves nobody with it', async () => {
  await logIn(build())
  const { logins: kept } = store
  let isOut = false
  const built: Built = build(
    'shared',
    {},
    {
      find: (place) => kept.find(place),
      of: (connection) => kept.of(connection),
      open: async (place) => {
        const found = await kept.open(place)
        if (!isOut) await built.desk.logout(undefined)
        isOut = true
        return found
      },
      put: (...wishes) => kept.put(...wishes),
      remove: (place) => kept.remove(place),
      lease: (...wishes) => kept.lease(...wishes),
    },
  )
  expect(await outcomeOf(built)).toMatch(/credential-unavailable: the login was taken back/)
  expect(await outcomeOf(built)).toMatch(/^Credential for user/)
})
