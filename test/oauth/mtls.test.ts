import { hash, X509Certificate } from 'node:crypto'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import { buildSupply, sourceSettings } from '../../src/credentials/registry.ts'
import { type RunningAuthorizationServer, startAuthorizationServer } from '../support/authorization-server.ts'
import { type Authority, type Identity, makeAuthority, makeOddRoot, makeSelfMade } from '../support/certificates.ts'
import { type QuirkIssuer, startQuirkIssuer, tokenAnswer } from '../support/quirk-issuer.ts'
import { loopback, makeSourceTools } from '../support/source-tools.ts'

const clients = await makeOddRoot()
const vouched = await clients.issue({ dns: ['app.test'] })
const renewed = await clients.issue({ dns: ['app.test'] })
const stranger = await clients.issue({ dns: ['other.test'] })
const selfMade = await makeSelfMade({ dns: ['app.test'] })

let authority: Authority
let server: RunningAuthorizationServer
let issuer: QuirkIssuer

beforeAll(async () => {
  authority = await makeAuthority()
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
  const bound = { tls_client_certificate_bound_access_tokens: true }
  server = await startAuthorizationServer({
    authority,
    clientCa: clients.certPem,
    clients: [
      {
        id: 'vouched',
        metadata: { ...bound, token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_san_dns: 'app.test' },
      },
      {
        id: 'self-made',
        metadata: {
          ...bound,
          token_endpoint_auth_method: 'self_signed_tls_client_auth',
          jwks: { keys: [registered(selfMade)] },
        },
      },
    ],
  })
})

afterAll(async () => {
  await issuer.stop()
  await server.stop()
})

/** As a server knows a certificate that no authority vouches for. */
function registered({ cert }: Identity) {
  const { publicKey, raw } = new X509Certificate(cert)
  return { ...publicKey.export({ format: 'jwk' }), kid: 'self', use: 'sig', x5c: [raw.toString('base64')] }
}

function thumbprintOf({ cert }: Identity): string {
  return hash('sha256', new X509Certificate(cert).raw, 'base64url')
}

function build(identity: Identity, changes: object = {}) {
  const made = makeSourceTools({ secret: '' })
  made.clock.jumpWall(Date.now() - made.clock.now())
  const settings = sourceSettings.parse({
    kind: 'client-credentials',
    tokenEndpoint: server.tokenEndpoint,
    clientId: 'vouched',
    clientAuth: { kind: 'mtls', certificate: { file: 'client.pem' }, key: { file: 'client-key.pem' } },
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
    ...changes,
  })
  const files = { cert: identity.cert, key: new Secret(identity.key), version: 1 }
  const tools = {
    ...made.tools,
    secret: () => ({ current: () => ({ secret: files.key, version: files.version }) }),
    file: ({ file }: { readonly file: string }) => (file === 'ca.pem' ? authority.certPem : files.cert),
  }
  const change = ({ cert, key }: Identity) =>
    Object.assign(files, { cert, key: new Secret(key), version: files.version + 1 })
  return { ...made, change, supply: buildSupply(settings, tools) }
}

test.each([
  ['that an authority vouches for', 'vouched', vouched],
  ['that it knows itself', 'self-made', selfMade],
])(
  'a real server knows the client by a certificate %s, and binds the token to it',
  async (_what, clientId, identity) => {
    const { supply } = build(identity, { clientId })
    const credential = await supply.obtain()
    expect(credential?.behind).toMatchObject({ name: 'file:client-key.pem' })
    expect(decodeJwt(credential?.secret.reveal() ?? '')).toMatchObject({ cnf: { 'x5t#S256': thumbprintOf(identity) } })
  },
)

test.each([
  ['of another name', 'vouched', stranger],
  ['that nobody vouches for', 'vouched', selfMade],
  ['that it does not know', 'self-made', vouched],
])('a certificate %s is refused, which lasts', async (_what, clientId, identity) => {
  const { supply, events } = build(identity, { clientId })
  const before = await server.tokenRequests()
  for (let i = 0; i < 3; i += 1) {
    await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-failed', retryAfter: undefined })
  }
  expect(await server.tokenRequests()).toBe(before + 1)
  expect(events[0]).toMatchObject({
    problem: { reason: expect.stringMatching(/answered 401 invalid_client: compare clientId,/) },
  })
})

test('a token is not used beside another certificate than the one it was had with', async () => {
  const { supply, change } = build(vouched)
  const first = await supply.obtain()
  expect(supply.obtain()).toBe(first)
  change(renewed)
  const second = await supply.obtain()
  expect(decodeJwt(second?.secret.reveal() ?? '')).toMatchObject({ cnf: { 'x5t#S256': thumbprintOf(renewed) } })
  expect(second?.generation).toBe(2)
})

test('a certificate that is put right mends a refusal at once', async () => {
  const { supply, change } = build(stranger)
  await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-failed' })
  change(vouched)
  expect(await supply.obtain()).toMatchObject({ generation: 1 })
})

test('goes where the metadata sends clients with a certificate', async () => {
  const own = `https://login.test:${issuer.port}`
  issuer.answer(({ target }) => {
    if (!target.startsWith('/.well-known/')) return tokenAnswer()
    const aliases = { token_endpoint: server.tokenEndpoint }
    return { body: { issuer: own, token_endpoint: `${own}/token`, mtls_endpoint_aliases: aliases } }
  })
  const { supply } = build(vouched, { tokenEndpoint: undefined, issuer: own })
  const credential = await supply.obtain()
  expect(decodeJwt(credential?.secret.reveal() ?? '')).toMatchObject({ iss: server.issuer })
  expect(issuer.requests.map(({ target }) => target)).not.toContain('/token')
})

test('an alias in the clear is not gone to', async () => {
  const own = `https://login.test:${issuer.port}`
  const aliases = { token_endpoint: 'http://login.test/token' }
  issuer.answer({ body: { issuer: own, token_endpoint: `${own}/token`, mtls_endpoint_aliases: aliases } })
  const { supply, events } = build(vouched, { tokenEndpoint: undefined, issuer: own })
  await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-failed' })
  expect(events[0]).toMatchObject({
    problem: { reason: expect.stringContaining('no token endpoint that may be used') },
  })
})

test('nothing is sent with a key of another certificate', async () => {
  const before = await server.tokenRequests()
  const { supply, events } = build({ cert: vouched.cert, key: stranger.key })
  await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-failed', retryAfter: undefined })
  expect(events[0]).toMatchObject({ problem: { reason: expect.stringContaining('use the key of this certificate') } })
  expect(await server.tokenRequests()).toBe(before)
})

test('a token endpoint without TLS is refused as a setting', () => {
  const settings = {
    kind: 'client-credentials',
    tokenEndpoint: 'http://127.0.0.1:1/token',
    unsafeAllowPlaintextIssuer: true,
    clientId: 'me',
    clientAuth: { kind: 'mtls', certificate: { file: 'c' }, key: { file: 'k' } },
  }
  expect(sourceSettings.safeParse(settings).error?.message).toContain('without TLS no certificate is shown')
})
