import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildSupply, sourceSettings } from '../../src/credentials/registry.ts'
import { type Authority, makeAuthority } from '../support/certificates.ts'
import { type Provider, startProvider } from '../support/exchange-server.ts'
import { loopback, makeSourceTools } from '../support/source-tools.ts'

/** As a provider knows us, whatever its port is. */
const AUDIENCE = 'https://login.test'
const pem = newKey()

let authority: Authority
let server: Provider

beforeAll(async () => {
  authority = await makeAuthority()
  const jwks = { keys: [{ ...createPublicKey(pem).export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kty: 'EC' }] }
  const policies = [{ clientId: 'sp-1', issuer: 'sp-1', audiences: [AUDIENCE], subject: 'ann' }]
  server = await startProvider(authority, 'login.test', { is: 'workspace', policies, jwks })
})

afterAll(() => server?.stop())

function newKey(): string {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' })
}

function build(assertion: object = {}, secret = pem) {
  const made = makeSourceTools({ secret, ca: authority.certPem })
  made.clock.jumpWall(Date.now() - made.clock.now())
  const settings = sourceSettings.parse({
    kind: 'jwt-bearer',
    tokenEndpoint: `${server.issuer}/token`,
    clientId: 'sp-1',
    key: { file: 'key.pem' },
    assertion: { alg: 'ES256', subject: 'ann', audience: AUDIENCE, ...assertion },
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
  })
  return { ...made, supply: buildSupply(settings, made.tools) }
}

test('a real provider takes our assertion, and another one later: each has an id of its own', async () => {
  const { supply, clock } = build()
  const first = await supply.obtain()
  expect(decodeJwt(first?.secret.reveal() ?? '')).toMatchObject({ sub: 'sp-1', iss: server.issuer })
  expect(first && (await supply.rejected(first))?.generation).toBe(2)
  expect(clock.now()).toBeLessThan(first?.expiresAt ?? 0)
})

test.each([
  ['signed with another key', {}, newKey()],
  ['for another audience', { audience: `${AUDIENCE}/` }, pem],
  ['for another subject', { subject: 'bob' }, pem],
  ['of another issuer', { issuer: 'sp-2' }, pem],
])('one %s gets nothing', async (_what, assertion, key) => {
  await expect(build(assertion, key).supply.obtain()).rejects.toMatchObject({
    code: 'credential-failed',
    reason: expect.stringMatching(/answered 400 invalid_grant: the assertion was not taken: /),
  })
})
