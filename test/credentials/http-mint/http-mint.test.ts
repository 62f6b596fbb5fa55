import { inspect } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { KeyedSupply } from '../../../src/credentials/keyed.ts'
import { buildSupply, sourceSettings } from '../../../src/credentials/registry.ts'
import { makeAuthority } from '../../support/certificates.ts'
import { purposeWith } from '../../support/purpose.ts'
import { type Quirk, type QuirkIssuer, startQuirkIssuer } from '../../support/quirk-issuer.ts'
import { makeSourceTools } from '../../support/source-tools.ts'

const SECRET = 'LT_CANARY"}'
const HOUR = 3_600_000

let endpoint: QuirkIssuer
let ca: string

beforeAll(async () => {
  const authority = await makeAuthority()
  ca = authority.certPem
  endpoint = await startQuirkIssuer(await authority.issue(['login.test']))
})

beforeEach(() => endpoint.answer({ body: { token: 'at-1', expires: 3600 } }))

afterAll(() => endpoint.stop())

function setUp(more: object = {}) {
  const made = makeSourceTools({ secret: SECRET, ca, neighbourPort: endpoint.port })
  made.clock.jumpWall(Date.now() - made.clock.now())
  const settings = {
    kind: 'http-mint',
    connection: 'vault',
    path: '/mint',
    tokenPointer: '/token',
    expiryPointer: '/expires',
    ...more,
  }
  const supply = buildSupply(sourceSettings.parse(settings), made.tools)
  const ask = async () => supply.obtain()
  return { ...made, supply, ask, fail: () => ask().then(String, (error: unknown) => error) }
}

const latest = () => endpoint.requests.at(-1)

describe('an endpoint is asked', () => {
  test('as Databricks wants it for a database credential, and its answer is read', async () => {
    const expiry = new Date(Date.now() + HOUR).toISOString()
    endpoint.answer({ body: { token: 'db-1', expiration_time: expiry } })
    const { ask, clock } = setUp({
      path: '/api/2.0/database/credentials',
      body: { instance_names: ['one'], request_id: '${uuid}' },
      expiryPointer: '/expiration_time',
    })
    const credential = await ask()
    expect(credential?.secret.reveal()).toBe('db-1')
    expect(Math.abs((credential?.expiresAt ?? 0) - clock.now() - HOUR)).toBeLessThan(2_000)
    expect(latest()).toMatchObject({ method: 'POST', target: '/api/2.0/database/credentials' })
    expect(JSON.parse(latest()?.body ?? '')).toEqual({
      instance_names: ['one'],
      request_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    })
  })

  test('as Vault wants it for a lease: the secret is in the body, whatever it holds', async () => {
    endpoint.answer({ body: { auth: { client_token: 'hvs-1', lease_duration: 1800 } } })
    const { ask, clock } = setUp({
      path: '/v1/auth/approle/login',
      headers: { 'x-vault-namespace': 'team' },
      body: { role_id: 'app', secret_id: '${secretId}' },
      secrets: { secretId: { file: 'secret-id' } },
      tokenPointer: '/auth/client_token',
      expiryPointer: '/auth/lease_duration',
    })
    const credential = await ask()
    expect(credential?.expiresAt).toBe(clock.now() + HOUR / 2)
    expect(credential?.behind?.name).toBe('file:secret-id')
    expect(JSON.parse(latest()?.body ?? '')).toEqual({ role_id: 'app', secret_id: SECRET })
    expect(latest()?.rawHeaders).toContain('x-vault-namespace')
  })

  test('by GET without a body, with a query', async () => {
    await setUp({ method: 'GET', path: '/mint?ttl=900s' }).ask()
    expect(latest()).toMatchObject({ method: 'GET', target: '/mint?ttl=900s', body: '' })
  })

  test('with another text for ${uuid} at each mint', async () => {
    const { ask, clock } = setUp({ body: { id: '${uuid}' } })
    await ask()
    const first = latest()?.body
    clock.advance(HOUR)
    await ask()
    expect(latest()?.body).not.toBe(first)
  })
})

test.each([
  ['seconds from now', 3600],
  ['seconds since the epoch', Math.floor(Date.now() / 1000) + 3600],
  ['ms since the epoch', Date.now() + HOUR],
  ['a duration', '3600s'],
  ['a time', new Date(Date.now() + HOUR).toISOString()],
])('an expiry as %s is understood', async (_what, expires) => {
  endpoint.answer({ body: { token: 'at-1', expires } })
  const { ask, clock } = setUp()
  expect(Math.abs(((await ask())?.expiresAt ?? 0) - clock.now() - HOUR)).toBeLessThan(30_000)
})

test('where the other connection gives each caller its own, so does what is minted with it', async () => {
  const { tools } = makeSourceTools({ secret: SECRET, ca, neighbourPort: endpoint.port })
  const keyed = new KeyedSupply({
    keyOf: ({ caller }) => caller.name,
    supplyFor: () => expect.unreachable('not asked'),
  })
  const seen: unknown[] = []
  const settings = sourceSettings.parse({
    kind: 'http-mint',
    connection: 'vault',
    path: '/mint',
    tokenPointer: '/token',
  })
  const supply = buildSupply(settings, {
    ...tools,
    connection: () => keyed,
    neighbour: () => ({
      host: 'vault.test',
      async ask(_errand, purpose) {
        seen.push(purpose?.caller.name)
        return { answer: { status: 200, retryAfter: undefined, body: `{"token":"for-${purpose?.caller.name}"}` } }
      },
    }),
  })
  const tokenFor = async (name: string) => {
    const { caller, ...purpose } = purposeWith({})
    return (await supply.obtain({ ...purpose, caller: { ...caller, name } }))?.secret.reveal()
  }
  expect([await tokenFor('ann'), await tokenFor('bob'), await tokenFor('ann')]).toEqual([
    'for-ann',
    'for-bob',
    'for-ann',
  ])
  expect(seen).toEqual(['ann', 'bob'])
  await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-failed' })
})

test('without a pointer to it the usual lifetime is taken', async () => {
  const { ask, clock } = setUp({ expiryPointer: undefined })
  expect((await ask())?.expiresAt).toBe(clock.now() + 300_000)
})

describe('an answer that is not right injects nothing, by a stable code', () => {
  const canary = { message: 'SE_CANARY' }
  test.each<readonly [string, Quirk, string, RegExp]>([
    ['a 400', { status: 400, body: canary }, 'credential-failed', /answered 400: check path and body/],
    ['a 401', { status: 401, body: canary }, 'credential-failed', /the credential of the connection is not good/],
    ['a 403', { status: 403, body: canary }, 'credential-failed', /may not do this there: grant it/],
    ['a 404', { status: 404, body: canary }, 'credential-failed', /check path/],
    ['a redirect', { status: 307, headers: { location: '/evil' } }, 'credential-failed', /answered 307/],
    ['a 503', { status: 503, body: canary }, 'credential-unavailable', /answered 503/],
    ['a rate limit', { status: 429, body: canary }, 'credential-unavailable', /answered 429/],
    ['no answer', { instead: 'reset' }, 'credential-unavailable', /broke off/],
    ['HTML', { body: '<html>SE_CANARY' }, 'credential-failed', /not a JSON object/],
    [
      'no token',
      { body: { token: null, expires: 3600 } },
      'credential-failed',
      /missing or not printable ASCII: compare tokenPointer with/,
    ],
    [
      'a token that is an object',
      { body: { token: canary, expires: 3600 } },
      'credential-failed',
      /missing or not printable/,
    ],
    [
      'a token of two lines',
      { body: { token: 'SE_CANARY\r\nX: 1', expires: 3600 } },
      'credential-failed',
      /not printable/,
    ],
    ['no expiry', { body: { token: 'SE_CANARY' } }, 'credential-failed', /nothing at \/expires: check expiryPointer/],
    [
      'an odd expiry',
      { body: { token: 'SE_CANARY', expires: 'soon' } },
      'credential-failed',
      /none of the usual forms/,
    ],
    [
      'a token that is over',
      { body: { token: 'SE_CANARY', expires: 0 } },
      'credential-failed',
      /had expired when it arrived/,
    ],
    ['more than fits', { body: `{"token":"${'x'.repeat(70_000)}"}` }, 'credential-failed', /too large/],
  ])('%s', async (_what, answer, code, reason) => {
    endpoint.answer(answer)
    const before = endpoint.requests.length
    const { fail, events, supply } = setUp({ body: { secret: '${one}' }, secrets: { one: { file: 'one' } } })
    const problem = await fail()
    expect(problem).toMatchObject({ code, reason: expect.stringMatching(reason) })
    await fail()
    expect(endpoint.requests.length - before).toBe(1)
    expect(inspect([problem, events, supply.state()], { depth: 9, showHidden: true })).not.toMatch(
      /SE_CANARY|LT_CANARY/,
    )
  })
})

test.each([
  ['a placeholder that is nothing', { body: { a: '${other}' } }, 'body'],
  ['one that is not closed', { body: { a: '${uuid', b: '${' } }, 'body'],
  ['a secret that is not used', { secrets: { one: { file: 'one' } } }, 'secrets.one'],
  ['a secret itself', { body: { a: '${one}' }, secrets: { one: 'hunter2' } }, 'secrets.one'],
  ['a body of a GET', { method: 'GET', body: {} }, 'body'],
  ['a path elsewhere', { path: 'https://evil.test/' }, 'path'],
  ['a path with two readings', { path: '/a/../b' }, 'path'],
  ['a pointer that is none', { tokenPointer: 'token' }, 'tokenPointer'],
  ['a second credential', { headers: { authorization: 'Bearer x' } }, 'headers.authorization'],
  ['a header of two lines', { headers: { 'x-a': 'b\r\nc: d' } }, 'headers.x-a'],
])('settings refuse %s', (_what, more, path) => {
  const settings = { kind: 'http-mint', connection: 'vault', path: '/mint', tokenPointer: '/token', ...more }
  expect(sourceSettings.safeParse(settings).error?.issues.map((issue) => issue.path.join('.'))).toContain(path)
})

test('a placeholder that is nothing is told both ways out', () => {
  const settings = { kind: 'http-mint', connection: 'vault', path: '/mint', tokenPointer: '/token' }
  const { error } = sourceSettings.safeParse({ ...settings, body: { a: '${other}' } })
  expect(error?.issues.map(({ message }) => message)).toEqual(['use one of ${uuid}, or add other to secrets'])
})
