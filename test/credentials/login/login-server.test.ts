import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Credential } from '../../../src/credentials/credential.ts'
import type { Store } from '../../../src/store/store.ts'
import { type Authority, makeAuthority } from '../../support/certificates.ts'
import { type LoginServer, startLoginServer } from '../../support/login-server.ts'
import { openLoginStore } from '../../support/login-store.ts'
import { type Built, buildAt, CLIENTS, CONFIDENTIAL, keptToken, logIn, PUBLIC } from './at-provider.ts'

/** A real provider that demands PKCE, rotates refresh tokens, and wants a nonce in each proof of possession. */
let authority: Authority
let server: LoginServer
let store: Store

beforeAll(async () => {
  authority = await makeAuthority()
  store = await openLoginStore()
  server = await startLoginServer({ authority, clients: CLIENTS })
})

afterAll(() => server?.stop())

function build(settings: object, secret?: string): Built {
  return buildAt({ authority, store, server }, settings, secret)
}

describe.each([
  ['a public client', PUBLIC, {}],
  ['a public client with a key of its own', { ...PUBLIC, dpop: true }, { cnf: { jkt: expect.any(String) } }],
  ['a client with a secret', CONFIDENTIAL, {}],
  ['a client with a secret and a key', { ...CONFIDENTIAL, dpop: true }, { cnf: { jkt: expect.any(String) } }],
])('%s', (_what, settings, claims) => {
  test('acts for who has consented, and each refresh brings the next refresh token', async () => {
    const built = build(settings)
    const { supply, clock } = built
    await logIn(built)
    const seen = [await keptToken(built)]
    let credential = (await supply.obtain()) as Credential // a minted one
    for (let round = 0; round < 3; round++) {
      expect(decodeJwt(credential.secret.reveal())).toMatchObject({ sub: 'ann', iss: server.issuer, ...claims })
      expect(credential.boundTo !== undefined).toBe('dpop' in settings)
      clock.advance(11_000)
      credential = (await supply.rejected(credential)) as Credential // another one
      seen.push(await keptToken(built))
    }
    expect(decodeJwt(credential.secret.reveal())).toMatchObject({ sub: 'ann', ...claims })
    // A provider that binds the refresh token to the key need not rotate it.
    expect(new Set(seen).size).toBeGreaterThanOrEqual('dpop' in settings ? 1 : 4)
  })
})

test('a refresh token of a public client that was used twice ends all that came of it, and somebody has to log in', async () => {
  const ours = build(PUBLIC)
  await logIn(ours)
  const stolen = await keptToken(ours)
  const first = (await ours.supply.obtain()) as Credential // a minted one
  const second = (await ours.supply.rejected(first)) as Credential // another one
  const thief = build({ ...PUBLIC, kind: 'refresh-token', refreshToken: { file: 'stolen' } }, stolen)
  await expect(Promise.resolve(thief.supply.obtain())).rejects.toMatchObject({
    code: 'credential-failed',
    reason: expect.stringMatching(/answered 400 invalid_grant/),
  })
  ours.clock.advance(11_000)
  expect(await ours.supply.rejected(second)).toBeUndefined()
  expect(await keptToken(ours)).toBe('none')
  await expect(Promise.resolve(ours.supply.obtain())).rejects.toMatchObject({ code: 'login-required' })
})
