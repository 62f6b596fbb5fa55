import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildSupply, sourceKinds } from '../../src/credentials/registry.ts'
import { loadSettings } from '../../src/settings/load.ts'
import { presets } from '../../src/settings/presets/registry.ts'
import { makeAuthority } from '../support/certificates.ts'
import { type QuirkIssuer, startQuirkIssuer } from '../support/quirk-issuer.ts'
import { DOOR, faultsOf, settingsFile } from '../support/settings-file.ts'
import { loopback, makeSourceTools, theAuthority, theSecret } from '../support/source-tools.ts'

const SECRET = 'LT-CANARY'
const client = 'clientId: my-app, clientSecret: { file: secret }'

/** What logins need. */
const KEPT =
  'admin: { listen: "unix:a", url: "https://here.test" }\nstore: { kind: sqlite, path: s.db, key: { file: store } }\n'

/** Line 3 is the preset, line 4 the credential; both begin at column 5. */
function settingsText(preset: string, credential: string, more = ''): string {
  const connection = `connections:\n  api:\n    hosts: [ api.test ]\n    preset: ${preset}\n    credential: { ${credential} }\n${more}`
  return `${DOOR}allowlist: [ api.test ]\n${connection}${/authorization-code|refresh-token/.test(credential) ? KEPT : ''}`
}

async function connectionOf(preset: string, credential: string, more = '') {
  const { settings } = await loadSettings(await settingsFile(settingsText(preset, credential, more)))
  const connection = settings.connections['api']
  if (!connection) throw new Error('no connection')
  return connection
}

const CC = `kind: client-credentials, ${client}`
const EXCHANGE = 'kind: token-exchange, subject: { from: file, token: { file: projected } }'
const CODE = `kind: authorization-code, ${client}`
const STATIC = 'kind: static, secret: { file: secret }'

/** What each preset makes of the least that can be said, for each kind of credential that it knows. */
const made: Readonly<Record<string, readonly (readonly [preset: string, credential: string, filled: object])[]>> = {
  auth0: [
    [
      '{ name: auth0, domain: acme.eu.auth0.com, audience: "https://api.test/" }',
      CC,
      { tokenEndpoint: 'https://acme.eu.auth0.com/oauth/token', tokenParams: { audience: 'https://api.test/' } },
    ],
    [
      '{ name: auth0, domain: acme.eu.auth0.com, audience: "https://api.test/" }',
      CODE,
      {
        authorizationEndpoint: 'https://acme.eu.auth0.com/authorize',
        scope: 'offline_access',
        authorizationParams: { audience: 'https://api.test/' },
      },
    ],
  ],
  databricks: [
    [
      'databricks',
      CC,
      { tokenEndpoint: 'https://api.test/oidc/v1/token', scope: 'all-apis', clientAuth: { kind: 'header' } },
    ],
    ['databricks', STATIC, { kind: 'static' }],
    [
      'databricks',
      CODE,
      { authorizationEndpoint: 'https://api.test/oidc/v1/authorize', scope: 'all-apis offline_access' },
    ],
    [
      'databricks',
      `${EXCHANGE}, clientId: sp-1`,
      {
        tokenEndpoint: 'https://api.test/oidc/v1/token',
        scope: 'all-apis',
        clientAuth: { kind: 'none' },
        issuedTokenType: 'optional',
      },
    ],
  ],
  entra: [
    [
      '{ name: entra, tenant: contoso.example, resource: "https://graph.microsoft.com" }',
      CC,
      {
        tokenEndpoint: 'https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token',
        scope: 'https://graph.microsoft.com/.default',
        clientAuth: { kind: 'body' },
      },
    ],
    [
      '{ name: entra, tenant: contoso.example, resource: "api://x", authority: login.microsoftonline.us }',
      'kind: entra, clientId: my-app, assertion: { file: projected }',
      { tenant: 'contoso.example', scope: 'api://x/.default', authority: 'https://login.microsoftonline.us' },
    ],
    [
      '{ name: entra, tenant: common, resource: "https://graph.microsoft.com" }',
      CODE,
      {
        authorizationEndpoint: 'https://login.microsoftonline.com/common/oauth2/v2.0/authorize',
        scope: 'https://graph.microsoft.com/.default offline_access',
      },
    ],
  ],
  github: [
    ['github', STATIC, { kind: 'static' }],
    [
      'github',
      'kind: github-app, appId: 1, installationId: 2, key: { file: key }',
      { apiUrl: 'https://api.github.com' },
    ],
    ['github', CODE, { authorizationEndpoint: 'https://github.com/login/oauth/authorize' }],
  ],
  google: [
    ['google', STATIC, { kind: 'static' }],
    [
      'google',
      `kind: refresh-token, refreshToken: { file: rt }, ${client}`,
      { tokenEndpoint: 'https://oauth2.googleapis.com/token', clientAuth: { kind: 'body' } },
    ],
    [
      'google',
      `${CODE}, scope: openid`,
      {
        authorizationEndpoint: 'https://accounts.google.com/o/oauth2/v2/auth',
        authorizationParams: { access_type: 'offline', prompt: 'consent' },
      },
    ],
    [
      'google',
      'kind: jwt-bearer, serviceAccount: { file: robot.json }',
      { tokenEndpoint: 'https://oauth2.googleapis.com/token' },
    ],
    [
      'google',
      'kind: google-wif, audience: "//iam.googleapis.com/projects/1", subject: { from: file, token: { file: t } }',
      { tokenEndpoint: 'https://sts.googleapis.com/v1/token' },
    ],
  ],
  okta: [
    [
      '{ name: okta, domain: acme.okta.com }',
      `${CC}, scope: crm.read`,
      { tokenEndpoint: 'https://acme.okta.com/oauth2/default/v1/token', scope: 'crm.read' },
    ],
    [
      '{ name: okta, domain: acme.okta.com }',
      `${CODE}, scope: crm.read offline_access`,
      {
        authorizationEndpoint: 'https://acme.okta.com/oauth2/default/v1/authorize',
        revocationEndpoint: 'https://acme.okta.com/oauth2/default/v1/revoke',
      },
    ],
  ],
  salesforce: [
    ['salesforce', CC, { tokenEndpoint: 'https://api.test/services/oauth2/token', defaultLifetimeMs: 900_000 }],
    [
      'salesforce',
      'kind: jwt-bearer, clientId: my-app, key: { file: key }, assertion: { subject: robot@acme.test }',
      { assertion: { audience: 'https://login.salesforce.com', subject: 'robot@acme.test', lifetimeMs: 300_000 } },
    ],
  ],
  slack: [
    ['slack', STATIC, { kind: 'static' }],
    ['slack', `${CODE}, scope: "chat:write"`, { bearerNames: ['bot'] }],
  ],
}

test('every file is in the registry, and here for each kind that it names, and names no kind that is not there', () => {
  const files = readdirSync(new URL('../../src/settings/presets', import.meta.url))
  const names = files.filter((file) => file.endsWith('.json')).map((file) => file.replace('.json', ''))
  expect([...presets.keys()].sort()).toEqual(names.sort())
  for (const [name, { kinds }] of presets) {
    const shown = (made[name] ?? []).map(([, credential]) => /kind: ([a-z-]+)/.exec(credential)?.[1] ?? '')
    expect(shown.sort()).toEqual(Object.keys(kinds).sort())
    expect(Object.keys(sourceKinds)).toEqual(expect.arrayContaining(Object.keys(kinds)))
  }
})

describe.each(Object.entries(made))('%s', (_name, cases) => {
  test.each(cases)('%s with { %s }', async (preset, credential, filled) => {
    expect((await connectionOf(preset, credential)).credential).toMatchObject(filled)
  })
})

test('the injection is filled in, and by kind', async () => {
  expect((await connectionOf('google', STATIC)).inject).toEqual({
    kind: 'header',
    name: 'X-Goog-Api-Key',
    template: '{credential}',
  })
  expect((await connectionOf('slack', STATIC)).inject).toEqual({ kind: 'bearer' })
})

describe('what the settings say themselves goes first', () => {
  test('in each setting, and as a whole where it is one thing', async () => {
    const own = `${CC}, clientAuth: body, scope: sql, tokenEndpoint: "https://accounts.test/token"`
    const { credential, inject } = await connectionOf('databricks', own, '    inject: { kind: query, name: key }\n')
    expect(credential).toMatchObject({
      clientAuth: { kind: 'body' },
      scope: 'sql',
      tokenEndpoint: 'https://accounts.test/token',
    })
    expect(inject).toEqual({ kind: 'query', name: 'key' })
  })

  test('an issuer takes the place of the token endpoint', async () => {
    const { credential } = await connectionOf('databricks', `${CC}, issuer: "https://api.test/oidc"`)
    expect(credential).toMatchObject({ issuer: 'https://api.test/oidc' })
    expect(credential).not.toHaveProperty('tokenEndpoint')
  })

  test('parameters of the token request are put together', async () => {
    const auth0 = '{ name: auth0, domain: acme.auth0.com, audience: a }'
    const { credential } = await connectionOf(auth0, `${CC}, tokenParams: { organization: org_1 }`)
    expect(credential).toMatchObject({ tokenParams: { audience: 'a', organization: 'org_1' } })
  })

  test('and so are those of the authorization request, without which there would be no refresh token', async () => {
    const more = `${CODE}, scope: openid, authorizationParams: { login_hint: ann, prompt: select_account consent }`
    const { credential } = await connectionOf('google', more)
    expect(credential).toMatchObject({
      authorizationParams: { access_type: 'offline', prompt: 'select_account consent', login_hint: 'ann' },
    })
  })

  test('a token of another issuer is not shown where that of the preset would be revoked', async () => {
    const okta = '{ name: okta, domain: acme.okta.com }'
    const { credential } = await connectionOf(okta, `${CODE}, scope: a, issuer: "https://acme.okta.com"`)
    expect(credential).not.toHaveProperty('revocationEndpoint')
  })

  test('an issuer takes the place of the authorization endpoint, too, and a token endpoint wants its own', async () => {
    const { credential } = await connectionOf('databricks', `${CODE}, issuer: "https://accounts.test/oidc"`)
    expect(credential).not.toHaveProperty('authorizationEndpoint')
    expect(await faultsOf(settingsText('databricks', `${CODE}, tokenEndpoint: "https://accounts.test/token"`))).toEqual(
      [expect.stringContaining('authorizationEndpoint: add it: beside tokenEndpoint nothing says where')],
    )
  })
})

const ENTRA = '{ name: entra, tenant: contoso.example, resource: "https://graph.test" }'
const LIST = 'auth0, databricks, entra, github, google, okta, salesforce, slack'

test('the example of presets is right, and nothing in it is doubtful', async () => {
  const example = new URL('../../config/examples/presets.yaml', import.meta.url).pathname
  expect((await loadSettings(example)).warnings).toEqual([])
})

describe('what is wrong is told with its place in the file', () => {
  test.each([
    ['aws', CC, `7:13 connections.api.preset: use one of ${LIST}`],
    ['{ nam: okta }', CC, `7:13 connections.api.preset: use one of ${LIST}`],
    ['7', CC, `7:13 connections.api.preset: use one of ${LIST}`],
    [
      '{ name: github, token: x }',
      STATIC,
      '7:29 connections.api.preset.token: unknown parameter: it has no parameters',
    ],
    [
      '{ name: okta, domian: acme.okta.com, domain: acme.okta.com }',
      `${CC}, scope: a`,
      '7:27 connections.api.preset.domian: unknown parameter: its parameters are domain, server',
    ],
    [
      'okta',
      CC,
      '7:13 connections.api.preset: domain: use a host name, without scheme or path (domain of the organisation, as in acme.okta.com)',
    ],
    [
      '{ name: databricks, host: "https://api.test" }',
      CC,
      '7:33 connections.api.preset.host: host: use a host name, without scheme or path (host name of the workspace)',
    ],
    [
      '{ name: entra, tenant: "a/../b", resource: "api://x" }',
      CC,
      '7:28 connections.api.preset.tenant: tenant: use letters, digits, ".", "_" and "-" (id of the tenant, or a domain of it)',
    ],
    [
      'github',
      CC,
      '8:25 connections.api.credential.kind: preset github has static, github-app, authorization-code: use one of them',
    ],
    [
      'salesforce',
      'kind: jwt-bearer, clientId: my-app, key: { file: key }',
      '8:17 connections.api.credential.assertion.subject: add it: Salesforce gives a token for a user alone, and this is its user name [preset salesforce]',
    ],
    [
      ENTRA,
      'kind: entra, clientId: my-app, assertion: { file: t }, tokenParams: { resource: "https://graph.test" }',
      '8:99 connections.api.credential.tokenParams.resource: leave it out: scope says the resource, and Entra takes one of the two [preset entra]',
    ],
    [
      '{ name: okta, domain: acme.okta.com }',
      CC,
      '8:17 connections.api.credential.scope: add it: Okta gives no token to client credentials that name no scope [preset okta]',
    ],
    [
      ENTRA,
      `${CC}, tokenParams: { resource: "https://graph.test" }`,
      '8:120 connections.api.credential.tokenParams.resource: leave it out beside scope: version 2.0 of the endpoint takes the resource as a scope alone, and answers AADSTS9010010 [preset entra]',
    ],
    [
      'salesforce',
      `${CC}, scope: api`,
      '8:102 connections.api.credential.scope: leave it out: the client credentials flow takes the scopes of the connected app, and refuses others [preset salesforce]',
    ],
    [
      'databricks',
      'kind: client-credentials, clientId: a',
      '8:17 connections.api.credential.clientSecret: add it: clientAuth header shows the client secret [preset databricks]',
    ],
    [
      'databricks',
      'kind: client-credentials, clientSecret: { file: a }',
      '8:17 connections.api.credential.clientId: missing: use a text (the id under which the authorization server knows this client) [preset databricks]',
    ],
    [
      'databricks',
      `${CC}, clientAuth: none`,
      '8:77 connections.api.credential.clientSecret: leave it out, or set clientAuth to header or body: clientAuth none shows no client secret [preset databricks]',
    ],
    [
      'databricks',
      `${CC}, tokenEndpiont: x`,
      /^s\.yaml:8:\d+ connections\.api\.credential\.tokenEndpiont: did you mean "tokenEndpoint"\? unknown key; .* \[preset databricks\]$/,
    ],
  ])('preset: %s with { %s }', async (preset, credential, fault) => {
    const faults = await faultsOf(settingsText(preset, credential))
    expect(faults).toEqual([typeof fault === 'string' ? `s.yaml:${fault}` : expect.stringMatching(fault)])
  })

  test('the faults of others are told beside it, and keep their words', async () => {
    const faults = await faultsOf(
      `${settingsText('aws', CC)}  other:\n    hosts: [ b.test ]\n    credential: { kind: magic }\n`,
    )
    expect(faults).toHaveLength(2)
    expect(faults[1]).toMatch(/^s\.yaml:11:25 connections\.other\.credential\.kind: use one of [a-z, -]+$/)
  })

  test.each(['connections: [ { preset: okta } ]', 'connections: { a: okta }', 'connections: { a: { preset: okta } }'])(
    '%s is no way around the schema',
    async (text) => {
      expect((await faultsOf(`${DOOR}${text}\n`)).length).toBeGreaterThan(0)
    },
  )
})

describe('a token is asked for as the service wants it', () => {
  let ca: string
  let issuer: QuirkIssuer

  beforeAll(async () => {
    const authority = await makeAuthority()
    ca = authority.certPem
    issuer = await startQuirkIssuer(await authority.issue(['login.test']))
  })

  afterAll(() => issuer.stop())

  const BASIC = `Basic ${Buffer.from(`my-app:${SECRET}`).toString('base64')}`
  const minting = Object.values(made).flatMap((cases) => cases.filter(([, credential]) => credential.startsWith(CC)))
  const expected: Readonly<Record<string, object>> = {
    'acme.eu.auth0.com': { client_secret: SECRET, audience: 'https://api.test/' },
    'login.microsoftonline.com': { client_secret: SECRET, scope: 'https://graph.microsoft.com/.default' },
    'acme.okta.com': { authorization: BASIC, scope: 'crm.read' },
  }
  const byPath: Readonly<Record<string, object>> = {
    '/oidc/v1/token': { authorization: BASIC, scope: 'all-apis' },
    '/services/oauth2/token': { client_secret: SECRET },
  }

  test.each(minting)('%s', async (preset, written) => {
    const { credential } = await connectionOf(preset, written)
    if (credential.kind !== 'client-credentials') throw new Error('another kind')
    const { host, pathname } = new URL(credential.tokenEndpoint ?? '')
    const { tools } = makeSourceTools({ secret: SECRET, ca })
    // The same request, to a server of the test.
    const here = {
      tokenEndpoint: `https://login.test:${issuer.port}${pathname}`,
      tls: { ca: theAuthority },
      allowPrivate: loopback,
    }
    const supply = buildSupply({ ...credential, ...here, clientSecret: theSecret }, tools)
    await supply.obtain({ caller: { name: 'app', method: 'api-key' }, method: 'GET', path: '/', fields: [] })
    const request = issuer.requests.at(-1)
    const sent = Object.fromEntries(new URLSearchParams(request?.body))
    const at = request?.rawHeaders.findIndex((name) => name.toLowerCase() === 'authorization') ?? -1
    const shown = at === -1 ? {} : { authorization: request?.rawHeaders[at + 1] }
    const { client_id: _id, ...rest } = sent
    expect(request?.target).toBe(pathname)
    expect({ ...rest, ...shown }).toEqual({ grant_type: 'client_credentials', ...(expected[host] ?? byPath[pathname]) })
  })
})
