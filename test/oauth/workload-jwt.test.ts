import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { buildSupply, sourceSettings } from '../../src/credentials/registry.ts'
import { openSecret } from '../../src/secrets/open.ts'
import { SecretReference } from '../../src/secrets/reference.ts'
import { type RunningAuthorizationServer, startAuthorizationServer } from '../support/authorization-server.ts'
import { type Authority, makeAuthority } from '../support/certificates.ts'
import { loopback, makeSourceTools } from '../support/source-tools.ts'

const platform = generateKeyPairSync('rsa', { modulusLength: 2048 })
const jwk = { ...platform.publicKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig', kid: 'platform' }
const ID = 'a-workload'

let authority: Authority
let server: RunningAuthorizationServer

beforeAll(async () => {
  authority = await makeAuthority()
  const metadata = {
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'RS256',
    jwks: { keys: [jwk] },
  }
  server = await startAuthorizationServer({ authority, clients: [{ id: ID, metadata }] })
})

afterAll(() => server.stop())

interface Draft {
  readonly key?: KeyObject
  readonly audience?: string
  readonly lifetime?: number
}

/** A token as a cluster projects it. */
async function tokenOf({ key = platform.privateKey, audience = server.issuer, lifetime = 600 }: Draft = {}) {
  const exp = Math.floor(Date.now() / 1000) + lifetime
  const claims = { iss: ID, sub: ID, aud: audience, iat: exp - 600, exp, jti: randomUUID() }
  return new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'platform' }).sign(key)
}

/** A volume as the kubelet writes it: every file is a link into `..data`, which is swapped as a whole. */
function volume(token: string) {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-workload-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  let round = 0
  const swap = (text: string) => {
    const name = `..round${round++}`
    mkdirSync(join(directory, name))
    writeFileSync(join(directory, name, 'token'), text, { mode: 0o644 })
    symlinkSync(name, join(directory, '..data_tmp'))
    renameSync(join(directory, '..data_tmp'), join(directory, '..data'))
  }
  swap(token)
  symlinkSync(join('..data', 'token'), join(directory, 'token'))
  return { directory, swap }
}

/** A supply over such a volume, watched as the sidecar watches it. */
async function build(token: string) {
  const made = makeSourceTools({ secret: '', ca: authority.certPem })
  made.clock.jumpWall(Date.now() - made.clock.now())
  const { directory, swap } = volume(token)
  const opened = await openSecret(new SecretReference({ file: 'token' }), { directory, pollMs: 5 })
  onTestFinished(() => opened.close())
  const settings = sourceSettings.parse({
    kind: 'client-credentials',
    tokenEndpoint: server.tokenEndpoint,
    clientId: ID,
    clientAuth: { kind: 'workload-jwt', token: { file: 'token' } },
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
  })
  const swapped = (text: string) =>
    new Promise<void>((resolve) => {
      opened.onChange(resolve)
      swap(text)
    })
  return { ...made, swapped, supply: buildSupply(settings, { ...made.tools, secret: () => opened }) }
}

test('a real server knows the workload by the token of its platform, without any secret', async () => {
  const { supply } = await build(await tokenOf())
  expect(await supply.obtain()).toMatchObject({ generation: 1, behind: { name: 'file:token' } })
})

test('shows the token that is there at the time, after the volume was swapped', async () => {
  const { supply, clock, swapped } = await build(await tokenOf())
  await supply.obtain()
  await swapped(await tokenOf())
  clock.advance(3_600_000)
  clock.jumpWall(-3_600_000)
  // The server takes no jti twice: it has been shown another token.
  expect(await supply.obtain()).toMatchObject({ generation: 2 })
})

test('J22: a server that takes each jti once refuses the second use of a token, until the platform has written another', async () => {
  const { supply, clock, swapped } = await build(await tokenOf())
  await supply.obtain()
  clock.advance(3_600_000)
  clock.jumpWall(-3_600_000)
  await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-failed', retryAfter: undefined })
  await swapped(await tokenOf())
  expect(await supply.obtain()).toMatchObject({ generation: 2 })
})

test.each<[string, () => Promise<string>, RegExp]>([
  ['has expired', () => tokenOf({ lifetime: -1 }), /^the workload token has expired at \S+Z: see that the platform/],
  ['is no JWT', async () => 'LT_CANARY', /holds no signed JWT/],
  ['nobody has signed', async () => `${encode({ alg: 'none' })}.${encode({ sub: ID })}.`, /holds no signed JWT/],
  [
    'says no number as its end',
    async () => `${encode({ alg: 'RS256' })}.${encode({ exp: 'x' })}.c2ln`,
    /no signed JWT/,
  ],
])('sends no token that %s, says so, and mends by itself once there is another', async (_what, token, words) => {
  const { supply, events, swapped } = await build(await token())
  const before = await server.tokenRequests()
  await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-failed', retryAfter: undefined })
  expect(events[0]).toMatchObject({ problem: { reason: expect.stringMatching(words) } })
  expect(JSON.stringify(events)).not.toContain('CANARY')
  expect(await server.tokenRequests()).toBe(before)
  await swapped(await tokenOf())
  expect(await supply.obtain()).toMatchObject({ generation: 1 })
})

test.each<[string, () => Promise<string>]>([
  ['another audience', () => tokenOf({ audience: 'https://other.test' })],
  ['another platform', () => tokenOf({ key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey })],
])('a token of %s is refused by the server, once and for all', async (_what, token) => {
  const { supply } = await build(await token())
  const before = await server.tokenRequests()
  for (let i = 0; i < 3; i += 1) await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-failed' })
  expect(await server.tokenRequests()).toBe(before + 1)
})

test('a token that stands still is refused as a setting', () => {
  const settings = {
    kind: 'client-credentials',
    tokenEndpoint: 'https://login.test/token',
    clientId: ID,
    clientAuth: { kind: 'workload-jwt', token: { env: 'TOKEN' } },
  }
  expect(sourceSettings.safeParse(settings).error?.message).toContain('use { file: PATH }, which the platform keeps')
})

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
