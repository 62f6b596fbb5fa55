import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Credential } from '../../../src/credentials/credential.ts'
import { toBlockList } from '../../../src/forms/network.ts'
import { exchange } from '../../../src/oauth/exchange.ts'
import type { Store } from '../../../src/store/store.ts'
import { trustOf } from '../../../src/wire/trust.ts'
import { type Authority, makeAuthority } from '../../support/certificates.ts'
import { type LoginServer, startLoginServer } from '../../support/login-server.ts'
import { openLoginStore } from '../../support/login-store.ts'
import { loopback } from '../../support/source-tools.ts'
import { type Built, buildAt, CLIENTS, CONFIDENTIAL, keptToken, logIn, PUBLIC, SECRET } from './at-provider.ts'

/** Real providers, one with access tokens that are JWTs, which nobody can revoke, and one with opaque ones. */
let authority: Authority
const servers = new Map<string, LoginServer>()
let store: Store

beforeAll(async () => {
  authority = await makeAuthority()
  store = await openLoginStore()
  for (const format of ['jwt', 'opaque'] as const)
    servers.set(format, await startLoginServer({ authority, clients: CLIENTS, format }))
}, 30_000)

afterAll(async () => {
  for (const server of servers.values()) await server.stop()
})

function build(format: string, settings: object, secret?: string): Built {
  const server = servers.get(format)
  if (!server) throw new Error(`no server of format ${format}`)
  return buildAt({ authority, store, server }, settings, secret)
}

async function logOut({ supply: { desk } }: Built) {
  const gone = await desk?.logout(undefined)
  return gone?.revoking.last
}

/** Whether a token is good there, as the provider tells its confidential client. */
async function isActive(token: string, { server, tools }: Built): Promise<boolean> {
  const route = { dialer: tools.dialer, trust: trustOf(authority.certPem), allowPrivate: toBlockList(loopback) }
  const basic = Buffer.from(`confidential:${SECRET}`).toString('base64')
  const answer = await exchange(
    { ...route, timeoutMs: 5_000 },
    {
      url: new URL(`${server.issuer}/token/introspection`),
      method: 'POST',
      headers: { authorization: `Basic ${basic}`, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ token }).toString(),
      signal: AbortSignal.timeout(5_000),
    },
  )
  return JSON.parse(answer.body).active
}

/** What a thief of the refresh token gets for it. */
async function stolen(token: string, { server }: Built, client: object): Promise<unknown> {
  const thief = build(server === servers.get('jwt') ? 'jwt' : 'opaque', { ...client, ...THIEF }, token)
  return Promise.resolve(thief.supply.obtain()).catch((problem: unknown) => problem)
}

const THIEF = { kind: 'refresh-token', refreshToken: { file: 'stolen' } }

describe.each([
  ['a public client', PUBLIC],
  ['a client with a secret', CONFIDENTIAL],
  ['a client with a secret, whose tokens are bound to a key', { ...CONFIDENTIAL, dpop: true }],
])('a logout of %s', (_what, settings) => {
  test('ends the refresh token and the access token at the provider', async () => {
    const built = build('opaque', settings)
    await logIn(built)
    const credential = (await built.supply.obtain()) as Credential // a minted one
    const [refresh, access] = [await keptToken(built), credential.secret.reveal()]
    expect([await isActive(refresh, built), await isActive(access, built)]).toEqual([true, true])
    expect(await logOut(built)).toEqual({ outcome: 'revoked', tries: 1 })
    expect([await isActive(refresh, built), await isActive(access, built)]).toEqual([false, false])
    expect(await keptToken(built)).toBe('none')
  })
})

test('the refresh token that was got last is the one that ends, and nobody can use it from then on', async () => {
  const built = build('opaque', PUBLIC)
  await logIn(built)
  const first = (await built.supply.obtain()) as Credential // a minted one
  built.clock.advance(11_000)
  await built.supply.rejected(first)
  const newest = await keptToken(built)
  expect(await isActive(newest, built)).toBe(true)
  await logOut(built)
  expect(await stolen(newest, built, PUBLIC)).toMatchObject({
    code: 'credential-failed',
    reason: expect.stringMatching(/answered 400 invalid_grant/),
  })
})

test('access tokens that the provider cannot revoke are told of, and the refresh token ends all the same', async () => {
  const built = build('jwt', CONFIDENTIAL)
  await logIn(built)
  await built.supply.obtain()
  const refresh = await keptToken(built)
  expect(await logOut(built)).toEqual({
    outcome: 'revoked',
    tries: 1,
    reason: expect.stringContaining('an access token may be good until it expires'),
  })
  expect(await isActive(refresh, built)).toBe(false)
})

test('a login that the provider has ended before is gone without a word of it', async () => {
  const built = build('opaque', CONFIDENTIAL)
  await logIn(built)
  const first = (await built.supply.obtain()) as Credential // a minted one
  const elsewhere = build('opaque', CONFIDENTIAL)
  await logIn(elsewhere)
  const refresh = await keptToken(built)
  await store.logins.put({ connection: elsewhere.name, identity: 'shared' }, (await opened(built)).content, { by: 'x' })
  expect(await logOut(elsewhere)).toMatchObject({ outcome: 'revoked' })
  expect(await isActive(refresh, built)).toBe(false)
  built.clock.advance(11_000)
  expect(await built.supply.rejected(first)).toBeUndefined()
  expect(await logOut(built)).toEqual({ outcome: 'nothing', tries: 0 })
})

async function opened({ name }: Built) {
  const kept = await store.logins.open({ connection: name, identity: 'shared' })
  if (!kept) throw new Error('nobody is logged in')
  return kept
}
