import { inspect } from 'node:util'
import { afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { clientCredentials } from '../../src/credentials/client-credentials.ts'
import type { Supply } from '../../src/credentials/credential.ts'
import { type Authority, makeAuthority, makeSelfSigned } from '../support/certificates.ts'
import { type Quirk, type QuirkIssuer, startQuirkIssuer, tokenAnswer } from '../support/quirk-issuer.ts'
import { loopback, makeSourceTools, type TestTools, theAuthority, theSecret } from '../support/source-tools.ts'

type ClientCredentialsSettings = Parameters<typeof clientCredentials.build>[0]

const SECRET = 'LT_CANARY'
const TOKEN = 'AT_CANARY'

let authority: Authority
let issuer: QuirkIssuer

beforeAll(async () => {
  authority = await makeAuthority()
})

beforeEach(async () => {
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
})

afterEach(() => issuer.stop())

function settingsFor(changes: Partial<ClientCredentialsSettings> = {}): ClientCredentialsSettings {
  return {
    kind: 'client-credentials',
    tokenEndpoint: `https://login.test:${issuer.port}/oauth2/token`,
    clientId: 'my-app',
    clientSecret: theSecret,
    clientAuth: { kind: 'header' },
    basicEncoding: 'rfc6749',
    tokenParams: {},
    defaultLifetimeMs: 300_000,
    maxLifetimeMs: 86_400_000,
    timeoutMs: 10_000,
    tls: { ca: theAuthority },
    allowPrivate: loopback,
    unsafeAllowPlaintextIssuer: false,
    ...changes,
  }
}

function build(changes: Partial<ClientCredentialsSettings> = {}): TestTools & { supply: Supply } {
  const made = makeSourceTools({ secret: SECRET, ca: authority.certPem })
  return { ...made, supply: clientCredentials.build(settingsFor(changes), made.tools) }
}

/** What a mint came to, in one line that an operator might read, after it was searched for what must not be in it. */
async function outcomeOf({ supply, events }: Pick<ReturnType<typeof build>, 'supply' | 'events'>): Promise<string> {
  const outcome = await Promise.resolve(supply.obtain()).catch((problem: unknown) => problem)
  const shown = inspect([outcome, events, supply.state()], { depth: 20, showHidden: true }) + JSON.stringify(outcome)
  expect(shown).not.toContain(SECRET)
  expect(shown).not.toContain(TOKEN)
  const last = events.at(-1)
  return last?.outcome === 'failed' ? last.problem.message.replaceAll(`:${issuer.port}`, '') : 'a token'
}

async function outcomeWhen(quirk: Quirk, changes: Partial<ClientCredentialsSettings> = {}): Promise<string> {
  issuer.answer(quirk)
  return outcomeOf(build(changes))
}

function header(name: string): string | undefined {
  const raw = issuer.requests[0]?.rawHeaders ?? []
  const at = raw.findIndex((each, index) => index % 2 === 0 && each.toLowerCase() === name)
  return at < 0 ? undefined : raw[at + 1]
}

describe('the request', () => {
  test('is a form post with the secret in the header, and asks for JSON that is not compressed', async () => {
    await build({ scope: 'contacts.read contacts.write' }).supply.obtain()
    const [request] = issuer.requests
    expect(request).toMatchObject({ method: 'POST', target: '/oauth2/token' })
    expect(request?.body).toBe('scope=contacts.read+contacts.write&grant_type=client_credentials')
    expect(header('authorization')).toBe(`Basic ${Buffer.from(`my-app:${SECRET}`).toString('base64')}`)
    expect(header('content-type')).toMatch(/^application\/x-www-form-urlencoded/)
    expect(header('accept')).toBe('application/json')
    expect(header('accept-encoding')).toBe('identity')
    expect(header('host')).toBe(`login.test:${issuer.port}`)
  })

  test('d.0: carries further parameters as they are, a list one by one', async () => {
    const tokenParams = { audience: 'https://api.test/', resource: ['https://a.test', 'https://b.test'] }
    await build({ tokenParams }).supply.obtain()
    const body = new URLSearchParams(issuer.requests[0]?.body)
    expect(body.getAll('audience')).toEqual(['https://api.test/'])
    expect(body.getAll('resource')).toEqual(['https://a.test', 'https://b.test'])
  })

  test('carries the secret in the body where the settings say so', async () => {
    await build({ clientAuth: { kind: 'body' } }).supply.obtain()
    expect(issuer.requests[0]?.body).toBe(`grant_type=client_credentials&client_id=my-app&client_secret=${SECRET}`)
    expect(header('authorization')).toBeUndefined()
  })

  test('carries the secret as it stands at the time of the mint', async () => {
    const { supply, clock, rotate } = build({ clientAuth: { kind: 'body' } })
    await supply.obtain()
    rotate('the-new-one')
    clock.advance(3_600_000)
    await supply.obtain()
    expect(issuer.requests[1]?.body).toContain('client_secret=the-new-one')
  })

  test('is not made with a secret that cannot be sent', async () => {
    const made = makeSourceTools({ secret: 'stray\u00e9', ca: authority.certPem })
    const supply = clientCredentials.build(settingsFor(), made.tools)
    expect(await outcomeOf({ ...made, supply })).toMatch(/^credential-failed: the client secret .* printable ASCII/)
    expect(issuer.requests).toHaveLength(0)
  })
})

describe('the token', () => {
  test('J04: lives for the default when nobody tells', async () => {
    issuer.answer(tokenAnswer({ expires_in: undefined }))
    const { supply, clock } = build()
    expect(await supply.obtain()).toMatchObject({ expiresAt: clock.now() + 300_000 })
  })

  test('J05: lives no longer than the settings allow', async () => {
    issuer.answer(tokenAnswer({ expires_in: 1e12 }))
    const { supply, clock } = build()
    expect(await supply.obtain()).toMatchObject({ expiresAt: clock.now() + 86_400_000 })
  })

  test('J06: is refused when it had expired at issue', async () => {
    const claims = Buffer.from(JSON.stringify({ exp: 1_000_000_000 })).toString('base64url')
    const quirk = tokenAnswer({ access_token: `e30.${claims}.c2ln` })
    expect(await outcomeWhen(quirk)).toMatch(/^credential-failed: the token had expired when it arrived/)
  })

  test('J20: is taken with a narrower scope, and the operator is told', async () => {
    issuer.answer(tokenAnswer({ scope: 'read' }))
    const { supply, events } = build({ scope: 'read write' })
    await supply.obtain()
    expect(events[0]).toMatchObject({ warnings: ['the issuer granted less than the scope that was asked for'] })
  })

  test.each([
    ['repo,user:email', 'user:email repo'],
    ['https://graph.test/User.Read', 'https://graph.test/.default offline_access'],
    ['read', 'openid offline_access read'],
  ])('J20: is no narrower as %s, where %s was asked for', async (scope, asked) => {
    issuer.answer(tokenAnswer({ scope }))
    const { supply, events } = build({ scope: asked })
    await supply.obtain()
    expect(events[0]).toMatchObject({ warnings: [] })
  })

  test('J13: is of a type that goes by another name only where the settings say so', async () => {
    const quirk = tokenAnswer({ token_type: 'bot' })
    expect(await outcomeWhen(quirk)).toMatch(/^credential-failed: login\.test sent a token_type that is not Bearer/)
    expect(await outcomeWhen(quirk, { bearerNames: ['bot'] })).toBe('a token')
  })

  test('J20: is taken beside members that nobody asked for', async () => {
    const quirk = tokenAnswer({ id_token: 'not.a.jwt', refresh_token: null, scope: 'read write more', x: [1] })
    expect(await outcomeWhen(quirk, { scope: 'read write' })).toBe('a token')
  })

  test('is printed nowhere', async () => {
    expect(await outcomeWhen(tokenAnswer({ access_token: TOKEN }))).toBe('a token')
  })
})

const LEAKY = { error_description: TOKEN, access_token: TOKEN, [TOKEN]: TOKEN }

describe('an issuer that misbehaves', () => {
  test.each<[string, Quirk, RegExp]>([
    [
      'J01: HTML',
      { body: `<html>${TOKEN}` },
      /^credential-failed: login.test sent an answer 200 that is not a JSON object$/,
    ],
    ['J01: nothing', { body: '' }, /^credential-failed: .* not a JSON object$/],
    ['J01: half an answer', { body: `{"access_token":"${TOKEN}"` }, /^credential-failed: .* not a JSON object$/],
    ['J01: a BOM', { body: `\uFEFF{"access_token":"${TOKEN}"}` }, /^credential-failed: .* not a JSON object$/],
    [
      'J03: no token_type',
      tokenAnswer({ access_token: TOKEN, token_type: undefined }),
      /^credential-failed: .*token_type/,
    ],
    ['J03: DPoP', tokenAnswer({ access_token: TOKEN, token_type: 'DPoP' }), /^credential-failed: .*token_type/],
    ['J05: expires_in 0', tokenAnswer({ expires_in: 0 }), /^credential-failed: the token had expired/],
    [
      'J07: invalid_client with a challenge',
      refusal(401),
      /^credential-failed: login.test answered 401 invalid_client: compare clientId,/,
    ],
    [
      'J07: invalid_client',
      refusal(400),
      /^credential-failed: login.test answered 400 invalid_client: compare clientId,/,
    ],
    [
      '200 with an error',
      refusal(200),
      /^credential-failed: login.test answered 200 invalid_client: compare clientId,/,
    ],
    ['J08: 429', { status: 429, body: TOKEN }, /^credential-unavailable: login.test answered 429$/],
    ['J09: 500 with JSON', { status: 500, body: LEAKY }, /^credential-unavailable: login.test answered 500$/],
    ['J10: a reset', { instead: 'reset' }, /^credential-unavailable: the exchange with login.test broke off \(\w+\)$/],
    ['J10: a reset midway', { ...tokenAnswer(), instead: 'reset-midway' }, /^credential-unavailable: .* broke off/],
    ['J15: a large body', { body: TOKEN.repeat(10_000) }, /^credential-failed: the answer of login.test is too large/],
    [
      'J15: a large head',
      { headers: { 'x-large': 'x'.repeat(20_000) } },
      /^credential-failed: .* too large or not HTTP/,
    ],
    [
      'J15: a gzip body',
      { headers: { 'content-encoding': 'gzip' }, body: 'x' },
      /^credential-failed: .* not a JSON object$/,
    ],
    [
      'J20: an id_token only',
      { body: { id_token: TOKEN, token_type: 'Bearer' } },
      /^credential-failed: .*access_token/,
    ],
    [
      'J21: a name twice',
      { body: '{"access_token":"a","access_token":"b","token_type":"bearer"}' },
      /^credential-failed/,
    ],
    ['J21: __proto__', { body: '{"__proto__":{"access_token":"a","token_type":"bearer"}}' }, /^credential-failed/],
    ['J21: an object for a token', tokenAnswer({ access_token: { a: 1 } }), /^credential-failed: .*access_token/],
    [
      'a token with a line end',
      tokenAnswer({ access_token: `${TOKEN}\r\nX: y` }),
      /^credential-failed: .*access_token/,
    ],
  ])('%s', async (_what, quirk, expected) => {
    expect(await outcomeWhen(quirk)).toMatch(expected)
  })

  test.each<[string, Quirk]>([
    ['J10: silence', { instead: 'silence' }],
    ['J10: one byte at a time', { ...tokenAnswer(), dripMs: 20 }],
    ['J15: endless 103', { instead: '1xx' }],
  ])('%s: ends at the deadline', async (_what, quirk) => {
    // On a busy machine the deadline may come while still connecting.
    expect(await outcomeWhen(quirk, { timeoutMs: 300 })).toMatch(/^credential-unavailable: .*(in time|to connect)$/)
  })

  test.each([301, 302, 303, 307, 308])('J13: a redirect %i is not followed', async (status) => {
    const location = `https://login.test:${issuer.port}/elsewhere`
    const outcome = await outcomeWhen({ status, headers: { location } })
    expect(outcome).toBe(`credential-failed: login.test answered ${status}: redirects are not followed`)
    expect(issuer.requests).toHaveLength(1)
  })

  test('J08: is left alone for as long as it asks', async () => {
    issuer.answer({ status: 503, headers: { 'retry-after': '30' } })
    const { supply, clock } = build()
    await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-unavailable', retryAfter: 30 })
    issuer.answer(tokenAnswer())
    clock.advance(29_000)
    await expect(supply.obtain()).rejects.toMatchObject({ retryAfter: 1 })
    clock.advance(1_000)
    expect(await supply.obtain()).toMatchObject({ generation: 1 })
    expect(issuer.requests).toHaveLength(2)
  })

  test('J11: gets exactly one request from 100 callers with a cold cache', async () => {
    issuer.answer({ ...tokenAnswer(), delayMs: 30 })
    const { supply } = build()
    await Promise.all(Array.from({ length: 100 }, async () => supply.obtain()))
    expect(issuer.requests).toHaveLength(1)
  })
})

function refusal(status: number): Quirk {
  const headers = { 'content-type': 'application/json', 'www-authenticate': 'Basic realm="x"' }
  return { status, headers, body: { error: 'invalid_client', ...LEAKY } }
}

describe('an issuer that is not who it should be', () => {
  let elsewhere: QuirkIssuer

  afterEach(() => elsewhere.stop())

  test.each([
    ['J14: an expired certificate', () => authority.issue(['login.test'], { expired: true }), 'CERT_HAS_EXPIRED'],
    ['J14: a certificate for another name', () => authority.issue(['evil.test']), 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['J14: a self-signed certificate', () => makeSelfSigned(['login.test']), 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  ])('%s: the secret is not sent', async (_what, identity, code) => {
    elsewhere = await startQuirkIssuer(await identity())
    const outcome = await outcomeOf(build({ tokenEndpoint: `https://login.test:${elsewhere.port}/token` }))
    expect(outcome).toMatch(/^credential-failed: login.test/)
    expect(outcome).toContain(code)
    expect(elsewhere.requests).toHaveLength(0)
  })
})

test('E12: an issuer at a private address is not asked', async () => {
  expect(await outcomeOf(build({ allowPrivate: [] }))).toMatch(/^credential-failed: login.test: .*127\.0\.0\.1/)
  expect(issuer.requests).toHaveLength(0)
})

test('an issuer that is down may be back soon', async () => {
  await issuer.stop()
  expect(await outcomeOf(build())).toMatch(/^credential-unavailable: login.test/)
})

test('no proxy variable has a say', async () => {
  for (const name of ['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY']) vi.stubEnv(name, 'http://127.0.0.1:9')
  onTestFinished(() => void vi.unstubAllEnvs())
  expect(await outcomeOf(build())).toBe('a token')
})

describe('discovery', () => {
  function settingsByIssuer(
    issuerUrl = `https://login.test:${issuer.port}/tenant`,
  ): Partial<ClientCredentialsSettings> {
    return { issuer: issuerUrl, tokenEndpoint: undefined }
  }

  function publish(where: string, changes: Readonly<Record<string, unknown>> = {}): void {
    const base = `https://login.test:${issuer.port}`
    const body = { issuer: `${base}/tenant`, token_endpoint: `${base}/found`, ...changes }
    issuer.answer(({ target }) => {
      if (target === where) return { headers: { 'content-type': 'application/json' }, body }
      return target === '/found' ? tokenAnswer() : { status: 404 }
    })
  }

  const targets = () => issuer.requests.map(({ target }) => target)

  test('asks the OAuth place first, and keeps what it found', async () => {
    publish('/.well-known/oauth-authorization-server/tenant')
    const { supply, clock } = build(settingsByIssuer())
    await supply.obtain()
    clock.advance(3_600_000)
    await supply.obtain()
    expect(targets()).toEqual(['/.well-known/oauth-authorization-server/tenant', '/found', '/found'])
  })

  test('asks the place of OpenID next', async () => {
    publish('/tenant/.well-known/openid-configuration')
    expect(await outcomeOf(build(settingsByIssuer()))).toBe('a token')
    expect(targets()).toEqual([
      '/.well-known/oauth-authorization-server/tenant',
      '/tenant/.well-known/openid-configuration',
      '/found',
    ])
  })

  test('looks again after a mint that failed', async () => {
    publish('/.well-known/oauth-authorization-server/tenant', {
      token_endpoint: `https://login.test:${issuer.port}/gone`,
    })
    const { supply, clock } = build(settingsByIssuer())
    await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-failed' })
    publish('/.well-known/oauth-authorization-server/tenant')
    clock.advance(60_000)
    expect(await supply.obtain()).toMatchObject({ generation: 1 })
  })

  test.each<[string, Readonly<Record<string, unknown>>]>([
    ['names another issuer', { issuer: 'https://evil.test' }],
    ['spells the issuer with a slash more', { issuer: 'SLASH' }],
    ['names no issuer', { issuer: undefined }],
    ['names no token endpoint', { token_endpoint: undefined }],
    ['names an endpoint in the clear', { token_endpoint: 'http://login.test/token' }],
    ['names an endpoint that is no URL', { token_endpoint: '/token' }],
  ])('J14: metadata that %s is refused, and no secret is sent', async (_what, changes) => {
    const slash = { issuer: `https://login.test:${issuer.port}/tenant/` }
    publish('/.well-known/oauth-authorization-server/tenant', changes.issuer === 'SLASH' ? slash : changes)
    expect(await outcomeOf(build(settingsByIssuer()))).toMatch(/^credential-failed: .*metadata/)
    expect(targets()).toEqual(['/.well-known/oauth-authorization-server/tenant'])
  })

  test('an issuer without metadata is told from one that is out of order', async () => {
    issuer.answer({ status: 404 })
    expect(await outcomeOf(build(settingsByIssuer()))).toBe(
      'credential-failed: login.test publishes no authorization server metadata',
    )
    issuer.answer({ status: 502 })
    expect(await outcomeOf(build(settingsByIssuer()))).toBe(
      'credential-unavailable: login.test answered 502 when asked for its metadata',
    )
  })
})
