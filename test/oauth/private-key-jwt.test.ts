import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildSupply, sourceSettings } from '../../src/credentials/registry.ts'
import { type RunningAuthorizationServer, startAuthorizationServer } from '../support/authorization-server.ts'
import { type Authority, makeAuthority } from '../support/certificates.ts'
import { type QuirkIssuer, startQuirkIssuer, tokenAnswer } from '../support/quirk-issuer.ts'
import { loopback, makeSourceTools } from '../support/source-tools.ts'

const ALGORITHMS = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  PS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ES384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  ES512: () => generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
} as const
// Object.entries has forgotten the names of the keys.
const pairs = new Map(Object.entries(ALGORITHMS).map(([alg, make]) => [alg, make() as Pair]))

interface Pair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

let authority: Authority
let server: RunningAuthorizationServer
let issuer: QuirkIssuer

beforeAll(async () => {
  authority = await makeAuthority()
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
  server = await startAuthorizationServer({
    authority,
    clients: [...pairs].map(([alg, { publicKey }]) => ({
      id: `by-${alg}`,
      metadata: {
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: alg,
        jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), alg, use: 'sig', kid: `key of ${alg}` }] },
      },
    })),
  })
})

afterAll(async () => {
  await issuer.stop()
  await server.stop()
})

function keyOf(alg: string): KeyObject {
  const pair = pairs.get(alg)
  if (!pair) throw new Error(`no key of ${alg}`)
  return pair.privateKey
}

function pem(alg: string): string {
  return keyOf(alg).export({ type: 'pkcs8', format: 'pem' })
}

function build(secret: string, clientAuth: object = {}, changes: object = {}, files?: () => string) {
  const made = makeSourceTools({ secret, ca: authority.certPem })
  made.clock.jumpWall(Date.now() - made.clock.now())
  const settings = sourceSettings.parse({
    kind: 'client-credentials',
    tokenEndpoint: server.tokenEndpoint,
    clientId: 'by-ES256',
    clientAuth: { kind: 'private-key-jwt', key: { file: 'secrets/key' }, ...clientAuth },
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
    ...changes,
  })
  const file: typeof made.tools.file = (reference) =>
    reference.file === 'ca.pem' ? authority.certPem : (files?.() ?? '')
  return { ...made, supply: buildSupply(settings, { ...made.tools, file }) }
}

/** Every assertion that the issuer has been shown since. */
async function assertionsOf(mint: () => Promise<unknown>): Promise<string[]> {
  const before = issuer.requests.length
  await mint()
  return issuer.requests.slice(before).map(({ body }) => new URLSearchParams(body).get('client_assertion') ?? '')
}

const toQuirk = () => ({ tokenEndpoint: `https://login.test:${issuer.port}/token` })

describe('a real server', () => {
  test.each([...pairs.keys()])('knows the client by its key: %s', async (alg) => {
    const { supply } = build(pem(alg), alg === 'PS256' ? { alg } : {}, { clientId: `by-${alg}` })
    expect(await supply.obtain()).toMatchObject({ generation: 1, behind: { name: 'file:secrets/key' } })
  })

  test('takes the kid and the algorithm of a JWK', async () => {
    const jwk = { ...keyOf('PS256').export({ format: 'jwk' }), alg: 'PS256', kid: 'key of PS256' }
    const { supply } = build(JSON.stringify(jwk), {}, { clientId: 'by-PS256' })
    expect(await supply.obtain()).toMatchObject({ generation: 1 })
  })

  test('is named by the issuer where that is the audience', async () => {
    const issuerAlone = { tokenEndpoint: undefined, issuer: server.issuer }
    const { supply } = build(pem('ES256'), { audience: 'issuer' }, issuerAlone)
    expect(await supply.obtain()).toMatchObject({ generation: 1 })
  })

  test('J22: takes each assertion once, and each request brings its own', async () => {
    const { supply, clock } = build(pem('ES256'))
    const first = await supply.obtain()
    clock.advance(3_600_000)
    clock.jumpWall(-3_600_000)
    const second = await supply.obtain()
    expect([first?.generation, second?.generation]).toEqual([1, 2])
  })

  test.each([
    ['another audience', { audience: 'https://other.test/token' }, 'ES256'],
    ['a kid of nobody', { kid: 'unheard-of' }, 'ES256'],
    ['another key', {}, 'ES384'],
  ])('J22: refuses %s, which lasts and is told without its words', async (_what, changes, alg) => {
    const { supply, events } = build(pem(alg), changes)
    const before = await server.tokenRequests()
    await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-failed', retryAfter: undefined })
    await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-failed' })
    expect(await server.tokenRequests()).toBe(before + 1)
    expect(events[0]).toMatchObject({
      problem: { reason: expect.stringMatching(/answered 40[01] invalid_client: compare clientId,/) },
    })
  })

  test('a rotated key mends it at once', async () => {
    const { supply, rotate } = build(pem('ES384'), {})
    await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-failed' })
    rotate(pem('ES256'))
    expect(await supply.obtain()).toMatchObject({ generation: 1 })
  })
})

test('J22: an assertion says who, for whom, and for how short a time', async () => {
  issuer.answer(tokenAnswer())
  const { supply, clock } = build(pem('ES256'), { kid: 'one', lifetimeMs: 120_000 }, toQuirk())
  const [assertion = ''] = await assertionsOf(async () => supply.obtain())
  const { payload, protectedHeader } = await jwtVerify(assertion, createPublicKey(pem('ES256')), {
    currentDate: new Date(clock.now()),
  })
  expect(protectedHeader).toEqual({ alg: 'ES256', kid: 'one', typ: 'JWT' })
  const iat = Math.floor((clock.now() - 30_000) / 1000)
  const { jti, ...rest } = payload
  expect(rest).toEqual({
    iss: 'by-ES256',
    sub: 'by-ES256',
    aud: toQuirk().tokenEndpoint,
    iat,
    nbf: iat,
    exp: iat + 120,
  })
  expect(jti).toMatch(/^[0-9a-f-]{36}$/)
  const { body } = issuer.requests.at(-1) ?? { body: '' }
  expect(new URLSearchParams(body).get('client_id')).toBe('by-ES256')
  expect(new URLSearchParams(body).get('client_secret')).toBeNull()
})

test('J22: no two assertions have one jti', async () => {
  issuer.answer({ status: 503 })
  const { supply, clock } = build(pem('ES256'), {}, toQuirk())
  const assertions = await assertionsOf(async () => {
    for (let i = 0; i < 5; i += 1) {
      await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-unavailable' })
      clock.advance(60_000)
    }
  })
  expect(new Set(assertions.map((one) => decodeJwt(one).jti)).size).toBe(5)
})

test('names its certificate by x5t#S256, and keeps key and certificate together while they change', async () => {
  issuer.answer(tokenAnswer())
  const [old, next] = [await authority.issue(['a.test']), await authority.issue(['a.test'])]
  let certificate = old.cert
  const { supply, clock, rotate } = build(
    old.key,
    { certificate: { file: 'client.pem' } },
    toQuirk(),
    () => certificate,
  )
  const shown = async () => {
    clock.advance(3_600_000)
    const [assertion = ''] = await assertionsOf(async () => supply.obtain())
    return assertion
  }
  await signedBy(await shown(), old)
  certificate = next.cert
  await signedBy(await shown(), old)
  rotate(next.key)
  await signedBy(await shown(), next)

  async function signedBy(assertion: string, { cert }: { readonly cert: string }): Promise<void> {
    const x509 = new X509Certificate(cert)
    await jwtVerify(assertion, x509.publicKey, { currentDate: new Date(clock.now()) })
    const thumbprint = createHash('sha256').update(x509.raw).digest('base64url')
    expect(decodeProtectedHeader(assertion)).toMatchObject({ 'x5t#S256': thumbprint })
  }
})

test.each([
  ['no key at all', 'LT_CANARY', {}, /in PEM that needs no passphrase, or as a JWK$/],
  ['a short RSA key', rsa(1024), {}, /RSA key of 2048 bits or more/],
  ['a key of another algorithm', pem('ES256'), { alg: 'RS256' }, /use one that fits RS256, or alg: ES256$/],
  ['a shared secret as a JWK', JSON.stringify({ kty: 'oct', k: 'TFRfQ0FOQVJZ', alg: 'HS256' }), {}, /private key/],
  ['a public key', JSON.stringify(pairs.get('ES256')?.publicKey.export({ format: 'jwk' })), {}, /private key/],
])('signs nothing with %s, and says so without it', async (_what, secret, changes, words) => {
  const { supply, events } = build(secret, changes, toQuirk())
  const before = issuer.requests.length
  await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-failed', retryAfter: undefined })
  expect(issuer.requests).toHaveLength(before)
  expect(events[0]).toMatchObject({ problem: { reason: expect.stringMatching(words) } })
  expect(JSON.stringify(events)).not.toContain('CANARY')
})

function rsa(modulusLength: number): string {
  return generateKeyPairSync('rsa', { modulusLength }).privateKey.export({ type: 'pkcs8', format: 'pem' })
}

test.each([
  ['alg none', { alg: 'none' }, /private key signs, nothing else/],
  ['a shared secret', { alg: 'HS256' }, /private key signs, nothing else/],
  ['a life of ten minutes', { lifetimeMs: 600_000 }, /300000/],
  ['an audience that is no URL', { audience: 'here and there' }, /use token-endpoint, issuer, or a URL/],
  ['an audience that nobody tells', { audience: 'issuer' }, /with tokenEndpoint nothing tells it/],
])('J22: settings with %s are refused', (_what, changes, words) => {
  const settings = {
    kind: 'client-credentials',
    tokenEndpoint: 'https://login.test/token',
    clientId: 'me',
    clientAuth: { kind: 'private-key-jwt', key: { file: 'k' }, ...changes },
  }
  expect(sourceSettings.safeParse(settings).error?.message).toMatch(words)
})
