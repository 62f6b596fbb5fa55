import { generateKeyPairSync } from 'node:crypto'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { buildSupply, type SourceSettings } from '../../src/credentials/registry.ts'
import { loadSettings } from '../../src/settings/load.ts'
import type { Store } from '../../src/store/store.ts'
import { type Authority, makeAuthority } from '../support/certificates.ts'
import { startGithub } from '../support/github.ts'
import { openLoginStore } from '../support/login-store.ts'
import { type QuirkIssuer, startQuirkIssuer, tokenAnswer } from '../support/quirk-issuer.ts'
import { DOOR, settingsFile } from '../support/settings-file.ts'
import { loopback, makeSourceTools, theAuthority, theSecret } from '../support/source-tools.ts'

const SECRET = 'LT-CANARY'
const HOUR_MS = 3_600_000
const ME = 'operator ann'
const redirectUri = 'https://here.test/login/api/callback'
const client = 'clientId: my-app, clientSecret: { file: secret }'
const CODE = `kind: authorization-code, ${client}`
const BASIC = `Basic ${Buffer.from(`my-app:${SECRET}`).toString('base64')}`

let authority: Authority
let issuer: QuirkIssuer
let store: Store
let count = 0

beforeAll(async () => {
  authority = await makeAuthority()
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
  store = await openLoginStore()
})

beforeEach(() => {
  issuer.answer(tokenAnswer())
  count += 1
})

afterAll(() => issuer.stop())

/** What a preset makes of these few words, and its supply, whose token endpoint is a server of the test under the same path. */
async function opened(
  preset: string,
  credential: string,
  here: (port: number, made: SourceSettings) => object = moved,
) {
  const text = `${DOOR}allowlist: [ api.test ]
admin: { listen: "unix:a", url: "https://here.test" }
store: { kind: sqlite, path: s.db, key: { file: store } }
connections: { api: { hosts: [ api.test ], preset: ${preset}, credential: { ${credential} } } }
`
  const made = (await loadSettings(await settingsFile(text))).settings.connections['api']?.credential
  if (!made) throw new Error('no connection')
  const { tools, clock } = makeSourceTools({
    secret: made.kind === 'jwt-bearer' || made.kind === 'github-app' ? pem : SECRET,
    ca: authority.certPem,
    logins: store.logins,
    name: `api-${count}`,
  })
  const common = { tls: { ca: theAuthority }, allowPrivate: loopback }
  const supply = buildSupply({ ...made, ...common, ...here(issuer.port, made) }, tools)
  return { made, supply, clock, obtain: async () => (await supply.obtain(ASK))?.secret.reveal() }
}

const ASK = { caller: { name: 'app', method: 'api-key' }, method: 'GET', path: '/', fields: [] } as const
const pem = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' })

function moved(port: number, made: SourceSettings): object {
  const { pathname } = new URL('tokenEndpoint' in made ? (made.tokenEndpoint ?? '') : '')
  const secret = 'clientSecret' in made && made.clientSecret ? { clientSecret: theSecret } : {}
  return { tokenEndpoint: `https://login.test:${port}${pathname}`, ...secret }
}

/** The last request for a token: its path, what it said, and what was shown in its head. */
function asked(): object {
  const { target = '', body = '', rawHeaders = [] } = issuer.requests.at(-1) ?? {}
  const at = rawHeaders.findIndex((name) => name.toLowerCase() === 'authorization')
  const shown = at === -1 ? {} : { authorization: rawHeaders[at + 1] }
  return { target, ...Object.fromEntries(new URLSearchParams(body)), ...shown }
}

const IN_BODY = { client_id: 'my-app', client_secret: SECRET }
const IN_HEAD = { authorization: BASIC }

/** By preset: where people are sent and with what, where the code goes, and an answer as the service gives it. */
const consents = [
  [
    'github',
    CODE,
    'https://github.com/login/oauth/authorize',
    {},
    { target: '/login/oauth/access_token', ...IN_BODY },
    { token_type: 'bearer', scope: '', expires_in: 28_800, refresh_token_expires_in: 15_897_600 },
  ],
  [
    'google',
    `${CODE}, scope: openid`,
    'https://accounts.google.com/o/oauth2/v2/auth',
    { access_type: 'offline', prompt: 'consent', scope: 'openid' },
    { target: '/token', ...IN_BODY },
    { expires_in: 3599, scope: 'openid', id_token: 'a.b.c' },
  ],
  [
    '{ name: entra, tenant: contoso.example, resource: "https://graph.microsoft.com" }',
    CODE,
    'https://login.microsoftonline.com/contoso.example/oauth2/v2.0/authorize',
    { scope: 'https://graph.microsoft.com/.default offline_access' },
    { target: '/contoso.example/oauth2/v2.0/token', ...IN_BODY },
    { expires_in: 3599, ext_expires_in: 3599, scope: 'https://graph.microsoft.com/User.Read' },
  ],
  [
    'databricks',
    CODE,
    'https://api.test/oidc/v1/authorize',
    { scope: 'all-apis offline_access' },
    { target: '/oidc/v1/token', ...IN_HEAD },
    { expires_in: '3600' },
  ],
  [
    '{ name: okta, domain: acme.okta.com }',
    `${CODE}, scope: crm.read offline_access`,
    'https://acme.okta.com/oauth2/default/v1/authorize',
    { scope: 'crm.read offline_access' },
    { target: '/oauth2/default/v1/token', ...IN_HEAD },
    {},
  ],
  [
    '{ name: auth0, domain: acme.eu.auth0.com, audience: "https://api.test/" }',
    CODE,
    'https://acme.eu.auth0.com/authorize',
    { audience: 'https://api.test/', scope: 'offline_access' },
    { target: '/oauth/token', ...IN_BODY },
    { expires_in: 86_400 },
  ],
  [
    'slack',
    `${CODE}, scope: "chat:write users:read"`,
    'https://slack.com/oauth/v2/authorize',
    { scope: 'chat:write users:read' },
    { target: '/api/oauth.v2.access', ...IN_BODY },
    { ok: true, token_type: 'bot', scope: 'chat:write,users:read', expires_in: 43_200, authed_user: { id: 'U1' } },
  ],
] as const

describe('people who consent', () => {
  test.each(consents)('%s', async (preset, written, page, parameters, token, answer) => {
    issuer.answer(() => {
      const number = issuer.requests.length
      return tokenAnswer({ access_token: `at-${number}`, refresh_token: `rt-${number}`, ...answer })
    })
    const { supply, clock, obtain } = await opened(preset, written)
    const { url, state } = (await supply.desk?.begin({ caller: undefined, redirectUri, holder: ME })) ?? {}
    const { origin, pathname, searchParams } = new URL(url ?? '')
    expect(origin + pathname).toBe(page)
    expect(Object.fromEntries(searchParams)).toMatchObject({ ...parameters, code_challenge_method: 'S256' })
    await supply.desk?.finish(new URLSearchParams({ state: state ?? '', code: 'c-1' }), { holder: ME, by: 'ann' })
    const first = issuer.requests.length
    expect(asked()).toMatchObject({ ...token, grant_type: 'authorization_code', code: 'c-1' })
    expect(await obtain()).toBe(`at-${first}`)
    clock.advance(24 * HOUR_MS)
    expect(await obtain()).toBe(`at-${first + 1}`)
    expect(asked()).toMatchObject({ ...token, grant_type: 'refresh_token', refresh_token: `rt-${first}` })
  })

  test.each([
    ['github', CODE, { error: 'bad_refresh_token', error_description: 'SECRET' }],
    ['slack', `${CODE}, scope: "chat:write"`, { ok: false, error: 'invalid_refresh_token' }],
  ])('%s: are asked again when the refresh token is taken no more, though the answer is a 200', async (...said) => {
    const [preset, written, refusal] = said
    const { supply, clock, obtain } = await opened(preset, written)
    issuer.answer(tokenAnswer({ refresh_token: 'rt', ...(preset === 'slack' && { ok: true, token_type: 'bot' }) }))
    const begun = await supply.desk?.begin({ caller: undefined, redirectUri, holder: ME })
    const code = new URLSearchParams({ state: begun?.state ?? '', code: 'c' })
    await supply.desk?.finish(code, { holder: ME, by: 'ann' })
    issuer.answer({ body: refusal })
    clock.advance(24 * HOUR_MS)
    await expect(obtain()).rejects.toMatchObject({ code: 'login-required' })
    expect(supply.desk?.list()).toMatchObject([{ state: 'needs-login' }])
  })
})

test('google: by a refresh token that was obtained elsewhere', async () => {
  const { obtain } = await opened('google', `kind: refresh-token, refreshToken: { file: rt }, ${client}`)
  expect(await obtain()).toBe('at-1')
  expect(asked()).toEqual({ target: '/token', grant_type: 'refresh_token', refresh_token: SECRET, ...IN_BODY })
})

test('entra: an app by its secret, in its tenant', async () => {
  const { obtain } = await opened(
    '{ name: entra, tenant: contoso.example, resource: "https://graph.microsoft.com" }',
    `kind: entra, ${client}`,
    (port) => ({ authority: `https://login.test:${port}`, clientSecret: theSecret }),
  )
  expect(await obtain()).toBe('at-1')
  const scope = 'https://graph.microsoft.com/.default'
  const target = '/contoso.example/oauth2/v2.0/token'
  expect(asked()).toEqual({ target, grant_type: 'client_credentials', scope, ...IN_BODY })
})

test('salesforce: a JWT for a user, and a token whose life nobody tells', async () => {
  issuer.answer({ body: { access_token: 'at-1', token_type: 'Bearer', instance_url: 'https://api.test', id: 'x' } })
  const written = 'kind: jwt-bearer, clientId: my-app, key: { file: key }, assertion: { subject: robot@acme.test }'
  const { supply, clock } = await opened('{ name: salesforce, login: test.salesforce.com }', written, (port, made) => ({
    ...moved(port, made),
    key: theSecret,
  }))
  const before = clock.now()
  expect(await supply.obtain(ASK)).toMatchObject({ expiresAt: before + 900_000 })
  const { assertion = '', ...rest } = asked() as { assertion?: string } // parameters of a form
  expect(rest).toMatchObject({ target: '/services/oauth2/token', client_id: 'my-app' })
  expect(decodeJwt(assertion)).toMatchObject({
    iss: 'my-app',
    sub: 'robot@acme.test',
    aud: 'https://test.salesforce.com',
  })
})

test('github: an installation of an app', async () => {
  const github = await startGithub({
    identity: await authority.issue(['login.test']),
    appId: '1',
    privateKey: pem,
    installationId: 2,
    owner: 'acme',
    repositories: ['site'],
    permissions: { contents: 'read' },
  })
  const written = 'kind: github-app, appId: 1, installationId: 2, key: { file: key }'
  const { made, supply, clock } = await opened('github', written, () => ({
    apiUrl: `https://login.test:${github.port}`,
  }))
  expect(made).toMatchObject({ apiUrl: 'https://api.github.com' })
  clock.jumpWall(Date.now() - clock.now())
  expect((await supply.obtain(ASK))?.secret.reveal()).toBe(github.issued[0]?.token)
  await github.stop()
})
