import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader, jwtVerify, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildSupply, issuerSettings, sourceSettings } from '../../src/credentials/registry.ts'
import { type RunningAuthorizationServer, startAuthorizationServer } from '../support/authorization-server.ts'
import { type Authority, makeAuthority } from '../support/certificates.ts'
import { type QuirkIssuer, startQuirkIssuer, tokenAnswer } from '../support/quirk-issuer.ts'
import { makeRsaIdentity } from '../support/rsa-identity.ts'
import { loopback, makeSourceTools } from '../support/source-tools.ts'

const TENANT = 'a1b2c3d4-0000-4000-8000-000000000001'
const PATH = `/${TENANT}/oauth2/v2.0/token`
const SCOPE = 'https://api.test/.default'
const SECRET = 'LT_CANARY'
const app = await makeRsaIdentity()
const cluster = generateKeyPairSync('rsa', { modulusLength: 2048 })

let authority: Authority
let server: RunningAuthorizationServer
let issuer: QuirkIssuer

beforeAll(async () => {
  authority = await makeAuthority()
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
  const byKey = (alg: string, jwk: object) => ({
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: alg,
    jwks: { keys: [{ ...jwk, alg, use: 'sig', kid: alg }] },
  })
  server = await startAuthorizationServer({
    authority,
    tokenPath: PATH,
    scope: SCOPE,
    clients: [
      { id: 'by-secret', secret: SECRET, clientAuth: 'body' },
      {
        id: 'by-certificate',
        metadata: byKey('PS256', new X509Certificate(app.cert).publicKey.export({ format: 'jwk' })),
      },
      { id: 'by-assertion', metadata: byKey('RS256', cluster.publicKey.export({ format: 'jwk' })) },
    ],
  })
})

afterAll(async () => {
  await issuer.stop()
  await server.stop()
})

const BY_SECRET = { clientSecret: { file: 'secrets/app' } }
const BY_CERTIFICATE = { certificate: { file: 'app.pem' }, key: { file: 'secrets/app.key' } }
const BY_ASSERTION = { assertion: { file: 'token' } }
const least = { kind: 'entra', tenant: TENANT, clientId: 'by-secret', scope: SCOPE }

function build(changes: object, secret = SECRET, at = server.issuer) {
  const made = makeSourceTools({ secret })
  made.clock.jumpWall(Date.now() - made.clock.now())
  const settings = sourceSettings.parse({
    ...least,
    authority: at,
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
    ...changes,
  })
  const file = (reference: { readonly file: string }) => (reference.file === 'ca.pem' ? authority.certPem : app.cert)
  return { ...made, supply: buildSupply(settings, { ...made.tools, file }) }
}

async function federated(audience: string): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: 'by-assertion', sub: 'by-assertion', aud: audience, iat: now, exp: now + 600, jti: `${now}` }
  return new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'RS256' }).sign(cluster.privateKey)
}

describe('a real server at the place of Entra gives a token', () => {
  test.each<[string, object, () => string | Promise<string>]>([
    ['a secret', { clientId: 'by-secret', ...BY_SECRET }, () => SECRET],
    ['a certificate', { clientId: 'by-certificate', ...BY_CERTIFICATE }, () => app.key],
    ['a federated token', { clientId: 'by-assertion', ...BY_ASSERTION }, () => federated(server.issuer)],
  ])('by %s', async (_what, changes, secret) => {
    const { supply } = build(changes, await secret())
    const credential = await supply.obtain()
    expect(decodeJwt(credential?.secret.reveal() ?? '')).toMatchObject({ scope: SCOPE, iss: server.issuer })
    expect(credential?.behind?.secret.reveal()).toBeDefined()
  })
})

const toQuirk = () => `https://login.test:${issuer.port}`

test('an assertion is what Entra documents: PS256, x5t#S256, for the token endpoint, ten minutes at most', async () => {
  issuer.answer(tokenAnswer())
  const { supply, clock } = build({ clientId: 'by-certificate', ...BY_CERTIFICATE }, app.key, toQuirk())
  await supply.obtain()
  const { body, target } = issuer.requests.at(-1) ?? { body: '', target: '' }
  expect(target).toBe(PATH)
  const { client_assertion: assertion = '', ...rest } = Object.fromEntries(new URLSearchParams(body))
  expect(rest).toEqual({
    grant_type: 'client_credentials',
    scope: SCOPE,
    client_id: 'by-certificate',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  })
  const x509 = new X509Certificate(app.cert)
  const thumbprint = createHash('sha256').update(x509.raw).digest('base64url')
  expect(decodeProtectedHeader(assertion)).toEqual({ alg: 'PS256', typ: 'JWT', 'x5t#S256': thumbprint })
  const { payload } = await jwtVerify(assertion, x509.publicKey, { currentDate: new Date(clock.now()) })
  expect(payload).toMatchObject({ iss: 'by-certificate', sub: 'by-certificate', aud: `${toQuirk()}${PATH}` })
  expect((payload.exp ?? 0) - (payload.nbf ?? 0)).toBeLessThanOrEqual(600)
})

test.each<[number, number, string, RegExp]>([
  [7000215, 401, 'invalid_client', /answered 401 invalid_client, AADSTS7000215: the client secret is wrong: use its/],
  [7000222, 401, 'invalid_client', /AADSTS7000222: the client secret has expired/],
  [700016, 400, 'unauthorized_client', /AADSTS700016: the app is not in this tenant/],
  [70011, 400, 'invalid_scope', /AADSTS70011: scope has to be/],
  [700213, 400, 'invalid_request', /AADSTS700213: a federated credential of the app/],
  [53003, 400, 'access_denied', /AADSTS53003: a Conditional Access policy/],
  [123456, 400, 'invalid_request', /answered 400 invalid_request, AADSTS123456$/],
])('AADSTS%i is told with its remedy, and without a word of the issuer', async (code, status, error, words) => {
  const body = {
    error,
    error_codes: [code],
    error_description: `AADSTS${code}: DESCRIPTION_CANARY`,
    trace_id: 'CANARY',
  }
  issuer.answer({ status, body })
  const { supply, events } = build(BY_SECRET, SECRET, toQuirk())
  const before = issuer.requests.length
  for (let i = 0; i < 3; i += 1) {
    await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-failed', retryAfter: undefined })
  }
  expect(issuer.requests).toHaveLength(before + 1)
  expect(events[0]).toMatchObject({ problem: { reason: expect.stringMatching(words) } })
  expect(JSON.stringify(events.map((event) => ('problem' in event ? event.problem.reason : '')))).not.toContain(
    'CANARY',
  )
})

test.each<[string, unknown]>([
  ['a text', ['AADSTS_CANARY']],
  ['an object', { CANARY: 1 }],
  ['a number that is none', [-1, 1.5, 1e300]],
])('error_codes that are %s are as good as none', async (_what, codes) => {
  issuer.answer({ status: 400, body: { error: 'invalid_scope', error_codes: codes } })
  const { supply, events } = build(BY_SECRET, SECRET, toQuirk())
  await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-failed' })
  expect(events[0]).toMatchObject({
    problem: { reason: expect.stringMatching(/answered 400 invalid_scope: compare scope with/) },
  })
})

test('an outage is no refusal, whatever its number', async () => {
  issuer.answer({
    status: 503,
    headers: { 'retry-after': '7' },
    body: { error: 'temporarily_unavailable', error_codes: [90033] },
  })
  const { supply } = build(BY_SECRET, SECRET, toQuirk())
  await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-unavailable', retryAfter: 7 })
})

test('asks the public cloud unless told otherwise', () => {
  expect(issuerSettings(sourceSettings.parse({ ...least, ...BY_SECRET }))).toMatchObject({
    tokenEndpoint: `https://login.microsoftonline.com${PATH}`,
  })
})

test.each<[string, object, RegExp]>([
  ['no proof at all', {}, /use exactly one of clientSecret, certificate with key, and assertion/],
  ['two proofs', { ...BY_SECRET, ...BY_ASSERTION }, /use exactly one of/],
  ['a certificate without its key', { certificate: { file: 'a' } }, /missing: the key of the certificate/],
  ['a key without its certificate', { key: { file: 'a' } }, /missing: Entra knows the key by its certificate/],
  ['scope and resource', { ...BY_SECRET, tokenParams: { resource: 'https://api.test' } }, /Entra takes one of the two/],
  ['two scopes', { ...BY_SECRET, scope: 'api://a/.default api://b/.default' }, /one resource and/],
  ['a scope without .default', { ...BY_SECRET, scope: 'api://a/read' }, /one resource and/],
  ['a tenant of everybody', { ...BY_SECRET, tenant: 'common' }, /an app is in one tenant/],
  ['a tenant that is a path', { ...BY_SECRET, tenant: 'a/../b' }, /use the id of the tenant/],
  ['an authority with a path', { ...BY_SECRET, authority: 'https://login.test/tenant' }, /use a URL without a path/],
  ['an authority in the clear', { ...BY_SECRET, authority: 'http://login.test' }, /use https:\/\//],
  ['an assertion that stands still', { assertion: { env: 'TOKEN' } }, /use \{ file: PATH \}/],
  ['a parameter of ours', { ...BY_SECRET, tokenParams: { grant_type: 'password' } }, /grant_type has a setting/],
])('settings with %s are refused', (_what, changes, words) => {
  expect(sourceSettings.safeParse({ ...least, ...changes }).error?.message).toMatch(words)
})
