import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Credential, Supply } from '../../../src/credentials/credential.ts'
import { unpacked } from '../../../src/credentials/login/content.ts'
import { buildSupply, sourceSettings } from '../../../src/credentials/registry.ts'
import type { Store } from '../../../src/store/store.ts'
import { Browser } from '../../support/browser.ts'
import { type Authority, makeAuthority } from '../../support/certificates.ts'
import { type LoginServer, startLoginServer } from '../../support/login-server.ts'
import { openLoginStore } from '../../support/login-store.ts'
import { loopback, makeSourceTools } from '../../support/source-tools.ts'

/** A real provider that demands PKCE, rotates refresh tokens, and wants a nonce in each proof of possession. */
const SECRET = 'LT_CANARY'
const redirectUri = 'http://127.0.0.1:1/login/crm/callback'

let authority: Authority
let server: LoginServer
let store: Store
let count = 0

beforeAll(async () => {
  authority = await makeAuthority()
  store = await openLoginStore()
  const redirectUris = [redirectUri]
  server = await startLoginServer({
    authority,
    clients: [
      { id: 'public', redirectUris },
      { id: 'confidential', secret: SECRET, redirectUris },
    ],
  })
})

afterAll(() => server?.stop())

const PUBLIC = { clientId: 'public', clientAuth: 'none' }
const CONFIDENTIAL = { clientId: 'confidential', clientSecret: { file: 'client' } }

function build(settings: object, secret = SECRET) {
  count += 1
  const name = `crm-${count}`
  const made = makeSourceTools({ secret, ca: authority.certPem, logins: store.logins, name })
  made.clock.jumpWall(Date.now() - made.clock.now())
  const parsed = sourceSettings.parse({
    kind: 'authorization-code',
    issuer: server.issuer,
    scope: 'openid offline_access read',
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
    ...settings,
  })
  return { ...made, name, supply: buildSupply(parsed, made.tools) }
}

async function logIn({ desk }: Supply): Promise<void> {
  if (!desk) throw new Error('nobody can log in')
  const { url } = await desk.begin({ caller: undefined, redirectUri, holder: 'ops' })
  const browser = new Browser(authority.certPem)
  const end = await browser.consent(await browser.visit(`${url}&prompt=consent`), 'ann', /^http:/)
  await desk.finish(end.url.searchParams, { holder: 'ops', by: 'ops' })
}

async function keptToken(connection: string): Promise<string> {
  const kept = await store.logins.open({ connection, identity: 'shared' })
  return kept ? unpacked(kept.content).refreshToken.reveal() : 'none'
}

describe.each([
  ['a public client', PUBLIC, {}],
  ['a public client with a key of its own', { ...PUBLIC, dpop: true }, { cnf: { jkt: expect.any(String) } }],
  ['a client with a secret', CONFIDENTIAL, {}],
  ['a client with a secret and a key', { ...CONFIDENTIAL, dpop: true }, { cnf: { jkt: expect.any(String) } }],
])('%s', (_what, settings, claims) => {
  test('acts for who has consented, and each refresh brings the next refresh token', async () => {
    const { supply, clock, name } = build(settings)
    await logIn(supply)
    const seen = [await keptToken(name)]
    let credential = (await supply.obtain()) as Credential // a minted one
    for (let round = 0; round < 3; round++) {
      expect(decodeJwt(credential.secret.reveal())).toMatchObject({ sub: 'ann', iss: server.issuer, ...claims })
      expect(credential.boundTo !== undefined).toBe('dpop' in settings)
      clock.advance(11_000)
      credential = (await supply.rejected(credential)) as Credential // another one
      seen.push(await keptToken(name))
    }
    expect(decodeJwt(credential.secret.reveal())).toMatchObject({ sub: 'ann', ...claims })
    // A provider that binds the refresh token to the key need not rotate it.
    expect(new Set(seen).size).toBeGreaterThanOrEqual('dpop' in settings ? 1 : 4)
  })
})

test('a refresh token of a public client that was used twice ends all that came of it, and somebody has to log in', async () => {
  const ours = build(PUBLIC)
  await logIn(ours.supply)
  const stolen = await keptToken(ours.name)
  const first = (await ours.supply.obtain()) as Credential // a minted one
  const second = (await ours.supply.rejected(first)) as Credential // another one
  const thief = build({ ...PUBLIC, kind: 'refresh-token', refreshToken: { file: 'stolen' } }, stolen)
  await expect(Promise.resolve(thief.supply.obtain())).rejects.toMatchObject({
    code: 'credential-failed',
    reason: expect.stringMatching(/answered 400 invalid_grant/),
  })
  ours.clock.advance(11_000)
  expect(await ours.supply.rejected(second)).toBeUndefined()
  expect(await keptToken(ours.name)).toBe('none')
  await expect(Promise.resolve(ours.supply.obtain())).rejects.toMatchObject({ code: 'login-required' })
})
