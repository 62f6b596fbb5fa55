import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Problem } from '../../../src/core/problem.ts'
import type { Purpose } from '../../../src/core/purpose.ts'
import type { Supply } from '../../../src/credentials/credential.ts'
import { unpacked } from '../../../src/credentials/login/content.ts'
import type { LoginDesk } from '../../../src/credentials/login/desk.ts'
import type { RevocationEvent } from '../../../src/credentials/login/revoker.ts'
import { buildSupply, sourceSettings } from '../../../src/credentials/registry.ts'
import type { Store } from '../../../src/store/store.ts'
import { type Authority, makeAuthority } from '../../support/certificates.ts'
import { openLoginStore } from '../../support/login-store.ts'
import { type QuirkIssuer, type RecordedRequest, startQuirkIssuer, tokenAnswer } from '../../support/quirk-issuer.ts'
import { loopback, makeSourceTools, type TestTools } from '../../support/source-tools.ts'

const HOUR_MS = 3_600_000
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

function isRevocation({ target }: RecordedRequest): boolean {
  return target === '/revoke'
}

function given(request: RecordedRequest) {
  if (isRevocation(request)) return {}
  const number = issuer.requests.filter((one) => !isRevocation(one)).length
  return tokenAnswer({ access_token: `at-${number}`, refresh_token: `rt-${number}` })
}

/** The tokens that were to be revoked, in order. */
function revoked(): (string | null)[] {
  return issuer.requests.filter(isRevocation).map(({ body }) => new URLSearchParams(body).get('token'))
}

interface Built extends TestTools {
  readonly supply: Supply
  readonly desk: LoginDesk
  readonly ended: readonly RevocationEvent[]
}

function build(more: object = {}, { name = `crm-${count}`, from = store, ending = new AbortController() } = {}): Built {
  const made = makeSourceTools({ secret: 'unused', ca: authority.certPem, logins: from.logins, name })
  const settings = sourceSettings.parse({
    kind: 'authorization-code',
    tokenEndpoint: `https://login.test:${issuer.port}/token`,
    authorizationEndpoint: `https://login.test:${issuer.port}/authorize`,
    revocationEndpoint: `https://login.test:${issuer.port}/revoke`,
    clientId: 'my-app',
    clientAuth: 'none',
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
    ...more,
  })
  const ended: RevocationEvent[] = []
  const onRevocation = (event: RevocationEvent) => void ended.push(event)
  const supply = buildSupply(settings, { ...made.tools, ending: ending.signal, onRevocation })
  if (!supply.desk) throw new Error('nobody can log in')
  return { ...made, supply, desk: supply.desk, ended }
}

async function logIn({ desk }: Pick<Built, 'desk'>, caller?: string): Promise<void> {
  const { state } = await desk.begin({ caller, redirectUri, holder: 'ops' })
  await desk.finish(new URLSearchParams({ state, code: 'c' }), { holder: 'ops', by: 'ops' })
}

async function logOut({ desk }: Pick<Built, 'desk'>, caller?: string) {
  const gone = await desk.logout(caller)
  if (!gone) throw new Error('there was no login')
  return gone.revoking
}

const purpose: Purpose = { caller: { name: 'app', method: 'x' }, method: 'GET', path: '/', fields: [] }

async function outcomeOf({ supply }: Pick<Built, 'supply'>): Promise<string> {
  const text = async () => (await supply.obtain(purpose))?.secret.reveal() ?? 'none'
  return text().catch((problem) => problem.code)
}

describe('what is revoked', () => {
  test('is the refresh token first, and then the access token that was kept with it', async () => {
    const built = build()
    await logIn(built)
    const { first, last } = await logOut(built)
    expect([await first, await last]).toEqual([
      { outcome: 'revoked', tries: 1 },
      { outcome: 'revoked', tries: 1 },
    ])
    expect(revoked()).toEqual(['rt-1', 'at-1'])
    expect(built.ended).toMatchObject([{ revocation: { outcome: 'revoked' }, place: { identity: 'shared' } }])
  })

  test('is the token in the cache, too, where another process has got a newer one', async () => {
    const [one, other] = [build(), build()]
    await logIn(one)
    expect([await outcomeOf(one), await outcomeOf(other)]).toEqual(['at-1', 'at-1'])
    other.clock.advance(HOUR_MS)
    expect(await outcomeOf(other)).toBe('at-2')
    await (await logOut(one)).last
    expect(revoked()).toEqual(['rt-2', 'at-2', 'at-1'])
  })

  test('is the token in the cache also where nobody keeps it, as it is bound to a key of this process', async () => {
    issuer.answer((request) => (isRevocation(request) ? {} : tokenAnswer({ ...BOUND, refresh_token: 'rt' })))
    const built = build({ dpop: true })
    await logIn(built)
    expect(await outcomeOf(built)).toBe('at-bound')
    await (await logOut(built)).last
    expect(revoked()).toEqual(['rt', 'at-bound'])
  })

  test('is that of the caller that is meant, and of no other', async () => {
    const built = build({ identity: 'per-caller' })
    await logIn(built, 'app')
    await logIn(built, 'bob')
    expect(await outcomeOf(built)).toBe('at-1')
    await (await logOut(built, 'app')).last
    expect(revoked()).toEqual(['rt-1', 'at-1'])
    expect(await outcomeOf(built)).toBe('login-required')
  })

  test('is that of a login which the store took away with its caller', async () => {
    const built = build({ identity: 'per-caller' })
    await logIn(built, 'app')
    expect(await outcomeOf(built)).toBe('at-1')
    const gone = await store.logins.remove(built.desk.placeOf('app'))
    if (!gone) throw new Error('there was no login')
    expect(await outcomeOf(built)).toBe('login-required')
    await built.desk.revoke(gone).last
    expect(revoked()).toEqual(['rt-1', 'at-1'])
  })

  test('is nothing, where the issuer took the refresh token no more and no token was got', async () => {
    const built = build()
    await logIn(built)
    await (await store.logins.lease(built.desk.placeOf(undefined), 1_000))?.drop()
    expect(await (await logOut(built)).last).toEqual({ outcome: 'nothing', tries: 0 })
    expect(revoked()).toEqual([])
  })

  test('is nothing where a login takes the place of another: some issuers would end both', async () => {
    const built = build()
    await logIn(built)
    await logIn(built)
    expect(await outcomeOf(built)).toBe('at-2')
    expect(revoked()).toEqual([])
  })

  test.each([
    ['none is known', { revocationEndpoint: undefined }],
    ['the settings say so', { revocationEndpoint: 'none' }],
  ])('is nothing where %s, and that is told', async (_why, more) => {
    const built = build(more)
    await logIn(built)
    expect(await (await logOut(built)).last).toMatchObject({ outcome: 'not-offered' })
    expect(issuer.requests).toHaveLength(1)
  })
})

const BOUND = { access_token: 'at-bound', token_type: 'DPoP' }

describe('a logout does not wait for the issuer', () => {
  test('that never answers: nobody has the token any more by then, nor what others got for it', async () => {
    issuer.answer((request) => (isRevocation(request) ? { instead: 'silence' } : given(request)))
    const ending = new AbortController()
    const built = build({}, { ending })
    await logIn(built)
    const child = { supply: exchanging(built) }
    expect([await outcomeOf(built), await outcomeOf(child)]).toEqual(['at-1', 'at-2'])
    const { first, last } = await logOut(built)
    expect([await outcomeOf(built), await outcomeOf(child)]).toEqual(['login-required', 'login-required'])
    expect(built.ended).toEqual([])
    ending.abort()
    const stopped = { outcome: 'failed', reason: expect.stringMatching(/^Sallyport was stopped before it was done/) }
    expect([await first, await last]).toMatchObject([stopped, stopped])
    expect(built.ended).toHaveLength(1)
  })

  test('and what was on its way from it just then is revoked when it comes', async () => {
    const built = build()
    await logIn(built)
    await outcomeOf(built)
    built.clock.advance(HOUR_MS)
    const refreshed = Promise.withResolvers<void>()
    const held = holdingRefresh(refreshed.promise)
    const late = outcomeOf({ supply: held.supply })
    await issuer.received(2)
    await (await logOut(built)).last
    expect(revoked()).toEqual(['rt-1', 'at-1'])
    refreshed.resolve()
    expect(await late).not.toMatch(/^at-/)
    await issuer.received(6)
    expect(revoked()).toEqual(['rt-1', 'at-1', 'rt-2', 'at-2'])
  })

  test('and what was on its way, and comes when somebody has logged in anew, is told to be good there still', async () => {
    const built = build()
    await logIn(built)
    await outcomeOf(built)
    const refreshed = Promise.withResolvers<void>()
    const held = holdingRefresh(refreshed.promise)
    const late = outcomeOf({ supply: held.supply })
    await issuer.received(2)
    await (await logOut(built)).last
    await logIn(built)
    refreshed.resolve()
    await late
    expect(held.ended).toMatchObject([
      { revocation: { outcome: 'failed', reason: expect.stringMatching(/logged in/) } },
    ])
    expect(revoked()).toEqual(['rt-1', 'at-1'])
    expect(await outcomeOf(built)).toBe('at-3')
  })

  test('that has given what could not be kept: that is revoked, and not what was spent for it', async () => {
    const built = build()
    await logIn(built)
    const lost = Promise.withResolvers<void>()
    const held = holdingRefresh(lost.promise)
    const late = outcomeOf({ supply: held.supply })
    await issuer.received(2)
    // Also where nobody waits for it yet.
    lost.promise.catch(() => undefined)
    lost.reject(new Problem('credential-unavailable', { reason: 'the store is lost' }))
    expect(await late).toBe('credential-unavailable')
    await (await logOut(held)).last
    expect(revoked()).toEqual(['rt-2', 'at-2', 'at-1'])
  })
})

/** Another process, whose write of what it has refreshed comes as late as it is told. */
function holdingRefresh(gate: Promise<void>): Built {
  const { logins } = store
  const held = Object.assign(Object.create(logins), {
    find: logins.find.bind(logins),
    of: logins.of.bind(logins),
    open: logins.open.bind(logins),
    remove: logins.remove.bind(logins),
    lease: async (...wishes: Parameters<typeof logins.lease>) => {
      const lease = await logins.lease(...wishes)
      if (!lease) return undefined
      const keep: typeof lease.keep = async (...kept) => {
        await gate
        return lease.keep(...kept)
      }
      const release: typeof lease.release = (outcome) => lease.release(outcome)
      return { kept: lease.kept, tries: lease.tries, release, drop: () => lease.drop(), keep }
    },
  })
  const built = build({}, { from: Object.assign(Object.create(store), { logins: held }) })
  built.clock.advance(HOUR_MS)
  return built
}

/** Another connection, that exchanges the token of this one. */
function exchanging({ tools, supply }: Built): Supply {
  const settings = sourceSettings.parse({
    kind: 'token-exchange',
    tokenEndpoint: `https://login.test:${issuer.port}/token`,
    subject: { from: 'connection', connection: 'crm' },
    issuedTokenType: 'optional',
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
  })
  return buildSupply(settings, { ...tools, connection: () => supply })
}

describe('no token is shown to anybody but who gave it', () => {
  test('where the settings name another issuer or client by now', async () => {
    const built = build()
    await logIn(built)
    const other = build({ clientId: 'another' })
    expect(await (await logOut(other)).last).toEqual({
      outcome: 'failed',
      tries: 0,
      reason: expect.stringMatching(/at another issuer, or of another client/),
    })
    expect(other.ended).toHaveLength(1)
    expect(await outcomeOf(built)).toBe('login-required')
    expect(revoked()).toEqual([])
  })

  test('and none where the store cannot open what was kept: the login is gone all the same', async () => {
    const built = build()
    await logIn(built)
    const place = built.desk.placeOf(undefined)
    const login = store.logins.find(place)
    if (!login) throw new Error('nobody is logged in')
    expect(await built.desk.revoke({ login, content: undefined }).last).toMatchObject({
      outcome: 'failed',
      reason: expect.stringMatching(/sealed under another key than "store.key"/),
    })
    const kept = await store.logins.open(place)
    expect(kept && unpacked(kept.content).refreshToken.reveal()).toBe('rt-1')
    expect(revoked()).toEqual([])
  })
})
