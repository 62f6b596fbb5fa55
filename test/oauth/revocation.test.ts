import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { inspect } from 'node:util'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import { z } from '../../src/forms/zod.ts'
import { TokenEndpoint } from '../../src/oauth/endpoint.ts'
import { endpointFields } from '../../src/oauth/endpoint-settings.ts'
import { type RunningAuthorizationServer, startAuthorizationServer } from '../support/authorization-server.ts'
import { type Authority, makeAuthority, makeOddRoot } from '../support/certificates.ts'
import { type Quirk, type QuirkIssuer, startQuirkIssuer, tokenAnswer } from '../support/quirk-issuer.ts'
import { loopback, makeSourceTools } from '../support/source-tools.ts'

const CANARY = 'RT_CANARY'
const SECRET = 'secret-of-the-client'
const platform = generateKeyPairSync('rsa', { modulusLength: 2048 })
const jwk = { ...platform.publicKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig', kid: 'platform' }
const certified = await makeOddRoot()
const certificate = await certified.issue({ dns: ['app.test'] })

let authority: Authority
let server: RunningAuthorizationServer
let issuer: QuirkIssuer

beforeAll(async () => {
  authority = await makeAuthority()
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
  const byKey = {
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'RS256',
    jwks: { keys: [jwk] },
  }
  const byCertificate = { token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_san_dns: 'app.test' }
  server = await startAuthorizationServer({
    authority,
    clientCa: certified.certPem,
    clients: [
      { id: 'header', secret: SECRET },
      { id: 'body', secret: SECRET, clientAuth: 'body' },
      { id: 'private-key-jwt', metadata: byKey },
      { id: 'workload-jwt', metadata: byKey },
      { id: 'mtls', metadata: byCertificate },
    ],
  })
}, 15_000)

beforeEach(() => issuer.answer({}))

afterAll(async () => {
  await issuer?.stop()
  await server?.stop()
})

/** References are answered by the name of their file. */
async function endpointOf(changes: object, files: Readonly<Record<string, string>> = {}) {
  const made = makeSourceTools({ secret: '' })
  made.clock.jumpWall(Date.now() - made.clock.now())
  const workload = await new SignJWT({ iss: 'workload-jwt', sub: 'workload-jwt', jti: randomUUID() })
    .setProtectedHeader({ alg: 'RS256', kid: 'platform' })
    .setAudience(server.issuer)
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(platform.privateKey)
  const all: Readonly<Record<string, string>> = {
    'ca.pem': authority.certPem,
    client: SECRET,
    key: platform.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    token: workload,
    'client.pem': certificate.cert,
    'client-key.pem': certificate.key,
    ...files,
  }
  const settings = z.strictObject(endpointFields).parse({
    issuer: server.issuer,
    clientId: 'my-app',
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
    ...changes,
  })
  return new TokenEndpoint(settings, {
    ...made.tools,
    secret: (reference) => ({
      current: () => ({ secret: new Secret(all[String(reference.settings['file'])] ?? ''), version: 1 }),
    }),
    file: ({ file }) => all[file] ?? '',
  })
}

const TOKEN = { token: new Secret(CANARY), hint: 'refresh_token' } as const
const WITH_SECRET = { clientSecret: { file: 'client' } }
const KEY = { kind: 'private-key-jwt', key: { file: 'key' } }
const CERTIFICATE = { kind: 'mtls', certificate: { file: 'client.pem' }, key: { file: 'client-key.pem' } }

describe('a real server', () => {
  test.each([
    ['header', { clientAuth: 'header', ...WITH_SECRET }],
    ['body', { clientAuth: 'body', ...WITH_SECRET }],
    ['private-key-jwt', { clientAuth: KEY }],
    ['private-key-jwt', { clientAuth: { ...KEY, audience: 'issuer' } }],
    ['workload-jwt', { clientAuth: { kind: 'workload-jwt', token: { file: 'token' } } }],
    ['mtls', { clientAuth: CERTIFICATE }],
  ])('knows the client by %s where its metadata say that tokens are revoked', async (clientId, settings) => {
    const endpoint = await endpointOf({ clientId, ...settings })
    expect(await endpoint.revoke(TOKEN)).toEqual({})
  })

  test.each([
    ['header', { clientAuth: 'header', ...WITH_SECRET }, { client: 'wrong' }],
    ['body', { clientAuth: 'body', ...WITH_SECRET }, { client: 'wrong' }],
    ['mtls', { clientAuth: 'none' }, {}],
  ])('refuses a client that does not prove itself: %s, %j', async (clientId, settings, files) => {
    const endpoint = await endpointOf({ clientId, ...settings }, files)
    await expect(endpoint.revoke(TOKEN)).rejects.toMatchObject({
      code: 'credential-failed',
      error: 'invalid_client',
      retryAfter: undefined,
    })
  })

  test('takes the next secret where it does not take the current one, and an operator is told of it', async () => {
    const clientSecret = { current: { file: 'old' }, next: { file: 'client' } }
    const endpoint = await endpointOf({ clientId: 'header', clientSecret }, { old: 'retired' })
    expect(await endpoint.revoke(TOKEN)).toEqual({ warning: expect.stringContaining('the old one is unused') })
    expect(await endpoint.revoke(TOKEN)).toEqual({})
  })

  test('says which kinds of token it does not revoke', async () => {
    const endpoint = await endpointOf({ clientId: 'header', ...WITH_SECRET })
    const { accessToken: token } = await endpoint.request({ grantType: 'client_credentials' })
    await expect(endpoint.revoke({ token, hint: 'access_token' })).rejects.toMatchObject({
      error: 'unsupported_token_type',
      retryAfter: undefined,
    })
  })
})

function nowhere(port: number) {
  return { issuer: undefined, tokenEndpoint: `https://login.test:${port}/token`, ...WITH_SECRET }
}

describe('where it is asked', () => {
  test('is what the settings name, with the token, what kind it is, and the proof of the client', async () => {
    const endpoint = await endpointOf({ ...nowhere(issuer.port), clientAuth: 'header-and-body' })
    const before = issuer.requests.length
    const revocationEndpoint = `https://login.test:${issuer.port}/revoke?tenant=a`
    expect(await endpoint.revoke({ ...TOKEN, revocationEndpoint })).toEqual({})
    const [asked, ...more] = issuer.requests.slice(before)
    expect(more).toEqual([])
    expect([asked?.method, asked?.target]).toEqual(['POST', '/revoke?tenant=a'])
    expect(Object.fromEntries(new URLSearchParams(asked?.body))).toEqual({
      token: CANARY,
      token_type_hint: 'refresh_token',
      client_id: 'my-app',
      client_secret: SECRET,
    })
    expect(asked?.rawHeaders.join('\n')).toMatch(/^authorization\nBasic /im)
  })

  test('is nowhere, where settings name a token endpoint alone, or metadata no such place', async () => {
    const before = issuer.requests.length
    expect(await (await endpointOf(nowhere(issuer.port))).revoke(TOKEN)).toBeUndefined()
    expect(issuer.requests.length).toBe(before)
    issuer.answer(metadata({}))
    expect(await (await endpointOf({ issuer: quirkIssuer(), ...WITH_SECRET })).revoke(TOKEN)).toBeUndefined()
    expect(issuer.requests.slice(before).map(({ method }) => method)).toEqual(['GET'])
  })

  test('is elsewhere for clients that show a certificate, if the metadata say so', async () => {
    const alias = `https://login.test:${issuer.port}/by-certificate`
    issuer.answer(
      metadata({
        revocation_endpoint: `https://login.test:${issuer.port}/revoke`,
        mtls_endpoint_aliases: { revocation_endpoint: alias },
      }),
    )
    const before = issuer.requests.length
    for (const settings of [{ clientAuth: CERTIFICATE }, WITH_SECRET])
      expect(await (await endpointOf({ issuer: quirkIssuer(), ...settings })).revoke(TOKEN)).toEqual({})
    const posts = issuer.requests.slice(before).filter(({ method }) => method === 'POST')
    expect(posts.map(({ target }) => target)).toEqual(['/by-certificate', '/revoke'])
  })

  test.each(['http://login.test/revoke', 'https://user@login.test/revoke', 7, null])(
    'is not %j, which metadata must not name: no token leaves',
    async (revocation_endpoint) => {
      issuer.answer(metadata({ revocation_endpoint }))
      const before = issuer.requests.length
      const endpoint = await endpointOf({ issuer: quirkIssuer(), ...WITH_SECRET })
      await expect(endpoint.revoke(TOKEN)).rejects.toMatchObject({
        reason: expect.stringMatching(/no revocation endpoint that may be used$/),
      })
      expect(issuer.requests.slice(before).map(({ method }) => method)).toEqual(['GET'])
    },
  )

  test('is not at a private address that nobody has allowed', async () => {
    const before = issuer.requests.length
    const endpoint = await endpointOf({ ...nowhere(issuer.port), allowPrivate: [] })
    const revocationEndpoint = `https://login.test:${issuer.port}/revoke`
    await expect(endpoint.revoke({ ...TOKEN, revocationEndpoint })).rejects.toMatchObject({
      code: 'credential-failed',
      cause: { code: 'address-not-allowed' },
    })
    expect(issuer.requests.length).toBe(before)
  })
})

function quirkIssuer(): string {
  return `https://login.test:${issuer.port}`
}

/** What it says of itself, and 200 to everything else. */
function metadata(more: object): (request: { readonly method: string }) => Quirk {
  const own = { issuer: quirkIssuer(), token_endpoint: `${quirkIssuer()}/token` }
  const body = JSON.stringify({ ...own, ...more })
  return ({ method }) => (method === 'GET' ? { headers: { 'content-type': 'application/json' }, body } : {})
}

const json = { 'content-type': 'application/json' }

test.each<[string, Quirk]>([
  ['an empty 200', {}],
  ['a 200 of something', { headers: json, body: { ok: true } }],
  ['a 204', { status: 204 }],
  ['Google’s word for a token that is none any more', { status: 400, headers: json, body: { error: 'invalid_token' } }],
])('%s means that the token is worth nothing', async (_what, quirk) => {
  issuer.answer(quirk)
  const endpoint = await endpointOf(nowhere(issuer.port))
  expect(await endpoint.revoke({ ...TOKEN, revocationEndpoint: `${quirkIssuer()}/revoke` })).toEqual({})
})

test.each<[Quirk, object]>([
  [
    { status: 503, headers: { 'retry-after': '7' } },
    { code: 'credential-unavailable', retryAfter: 7 },
  ],
  [{ status: 429 }, { code: 'credential-unavailable' }],
  [{ status: 400, headers: json, body: { error: 'unsupported_token_type' } }, { error: 'unsupported_token_type' }],
  [{ status: 401 }, { error: 'invalid_client', retryAfter: undefined }],
  [
    { status: 400, headers: json, body: { error: CANARY } },
    { error: '', retryAfter: 1 },
  ],
  [{ status: 302, headers: { location: 'https://login.test/other' } }, { code: 'credential-failed' }],
  [{ headers: json, body: { error: 'invalid_client' } }, { error: 'invalid_client' }],
  [{ instead: 'reset' }, { code: 'credential-unavailable' }],
  [{ body: 'x'.repeat(70_000) }, { code: 'credential-failed' }],
])('%j is a refusal in our own words', async (quirk, expected) => {
  issuer.answer(quirk)
  const endpoint = await endpointOf(nowhere(issuer.port))
  const problem: unknown = await endpoint
    .revoke({ ...TOKEN, revocationEndpoint: `${quirkIssuer()}/revoke` })
    .catch((error: unknown) => error)
  expect(problem).toMatchObject(expected)
  expect(inspect(problem, { depth: 10 })).not.toContain(CANARY)
})

describe('others are not held up', () => {
  /** Nothing is answered to a revocation, and tokens are given. */
  function deafToRevocations({ method, target }: { readonly method: string; readonly target: string }): Quirk {
    if (target === '/revoke') return { instead: 'silence' }
    return method === 'GET' ? metadata({})({ method }) : tokenAnswer()
  }

  test('from their tokens, by however many revocations that are not answered', async () => {
    issuer.answer(deafToRevocations)
    const before = issuer.requests.length
    const endpoint = await endpointOf({ ...nowhere(issuer.port), timeoutMs: 2_000 })
    const ending = new AbortController()
    const unwanted = { ...TOKEN, revocationEndpoint: `${quirkIssuer()}/revoke`, ending: ending.signal }
    const all = Array.from({ length: 40 }, () => endpoint.revoke(unwanted))
    const over = Promise.allSettled(all)
    await issuer.received(before + 1)
    const other = await endpointOf({ ...nowhere(issuer.port), timeoutMs: 1_000 })
    expect((await other.request({ grantType: 'client_credentials' })).accessToken.reveal()).toBe('at-1')
    ending.abort(new Error('all closes'))
    expect((await over).filter(({ status }) => status === 'fulfilled')).toEqual([])
    expect(issuer.requests.slice(before).filter(({ target }) => target === '/revoke').length).toBeLessThanOrEqual(4)
  })

  test('who has looked where to ask does not look again because of a revocation that is under way', async () => {
    issuer.answer(deafToRevocations)
    const before = issuer.requests.length
    const endpoint = await endpointOf({ issuer: quirkIssuer(), ...WITH_SECRET, timeoutMs: 1_000 })
    await endpoint.metadata()
    const late = endpoint.revoke({ ...TOKEN, revocationEndpoint: `${quirkIssuer()}/revoke` }).catch(() => 'failed')
    await issuer.received(before + 2)
    await endpoint.request({ grantType: 'client_credentials' })
    expect(await late).toBe('failed')
    expect(issuer.requests.slice(before).filter(({ method }) => method === 'GET')).toHaveLength(1)
  })
})
