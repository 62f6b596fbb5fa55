import { inspect } from 'node:util'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Purpose } from '../../../src/core/purpose.ts'
import { Secret } from '../../../src/core/secret.ts'
import type { Supply } from '../../../src/credentials/credential.ts'
import { buildSupply, sourceSettings } from '../../../src/credentials/registry.ts'
import type { SourceTools } from '../../../src/credentials/tools.ts'
import { type Authority, makeAuthority } from '../../support/certificates.ts'
import { purposeWith, purposeWithout, tokenWith } from '../../support/purpose.ts'
import { type Quirk, type QuirkIssuer, startQuirkIssuer, tokenAnswer } from '../../support/quirk-issuer.ts'
import { loopback, makeSourceTools, type TestTools } from '../../support/source-tools.ts'

const SECRET = 'LT_CANARY'
const TYPE = 'urn:ietf:params:oauth:token-type:'

let authority: Authority
let issuer: QuirkIssuer

beforeAll(async () => {
  authority = await makeAuthority()
})

beforeEach(async () => {
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
  issuer.answer(() => exchanged({ access_token: `AT_CANARY-${issuer.requests.length}` }))
})

afterEach(() => issuer.stop())

function exchanged(changes: Readonly<Record<string, unknown>> = {}): Quirk {
  return tokenAnswer({ issued_token_type: `${TYPE}access_token`, ...changes })
}

type Built = TestTools & { readonly supply: Supply }

function build(
  changes: object = {},
  { secret = SECRET, more = {} }: { secret?: string; more?: Partial<SourceTools> } = {},
): Built {
  const made = makeSourceTools({ secret, ca: authority.certPem })
  const settings = sourceSettings.parse({
    kind: 'token-exchange',
    tokenEndpoint: `https://login.test:${issuer.port}/oidc/v1/token`,
    subject: { from: 'caller' },
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
    ...changes,
  })
  return { ...made, supply: buildSupply(settings, { ...made.tools, ...more }) }
}

function bodyOf(index: number): URLSearchParams {
  return new URLSearchParams(issuer.requests[index]?.body)
}

async function refusalOf(supply: Supply, purpose?: Purpose): Promise<string> {
  const problem: unknown = await Promise.resolve(supply.obtain(purpose)).catch((error: unknown) => error)
  expect(inspect(problem, { depth: 20, showHidden: true })).not.toMatch(/CANARY/)
  return problem instanceof Error ? problem.message.replaceAll(`:${issuer.port}`, '') : 'a credential'
}

const file = { subject: { from: 'file', token: { file: 'secrets/token' } } }

describe('the request', () => {
  test('has the caller’s own token, its type and what was asked for, and names no client', async () => {
    const purpose = purposeWith({ claims: { sub: 'ann' } })
    const audience = ['one', 'two']
    await build({ scope: 'all-apis', audience, resource: 'https://a.test', tokenParams: { more: 'x' } }).supply.obtain(
      purpose,
    )
    expect([...bodyOf(0)]).toEqual([
      ['scope', 'all-apis'],
      ['more', 'x'],
      ['subject_token', tokenWith({ sub: 'ann' })],
      ['subject_token_type', `${TYPE}jwt`],
      ['audience', 'one'],
      ['audience', 'two'],
      ['resource', 'https://a.test'],
      ['grant_type', 'urn:ietf:params:oauth:grant-type:token-exchange'],
    ])
    expect(issuer.requests[0]?.rawHeaders.join().toLowerCase()).not.toContain('authorization')
  })

  test('proves the client where there is one', async () => {
    await build({ clientId: 'app', clientAuth: 'body', clientSecret: { file: 'secrets/app' } }).supply.obtain(
      purposeWith(),
    )
    expect(bodyOf(0).get('client_secret')).toBe(SECRET)
    expect(bodyOf(0).get('client_id')).toBe('app')
  })

  test('has an actor of its own type beside the subject', async () => {
    const actor = { from: 'file', token: { file: 'secrets/token' } }
    await build({ actor, actorTokenType: 'id_token', subjectTokenType: 'urn:x:custom' }).supply.obtain(purposeWith())
    expect(bodyOf(0).get('subject_token_type')).toBe('urn:x:custom')
    expect(bodyOf(0).get('actor_token')).toBe(SECRET)
    expect(bodyOf(0).get('actor_token_type')).toBe(`${TYPE}id_token`)
  })

  test('reads a workload’s token anew each time, without anybody who asks', async () => {
    const { supply, clock, rotate } = build(file)
    await supply.obtain()
    rotate('renewed')
    clock.advance(3_600_000)
    await supply.obtain()
    expect(issuer.requests.map((_, at) => bodyOf(at).get('subject_token'))).toEqual([SECRET, 'renewed'])
    expect(supply.state().separate).toBeUndefined()
  })
})

describe('who asks', () => {
  test('has a token of its own, and the same one again', async () => {
    const { supply } = build()
    const [ann, bob, again] = [{ sub: 'ann' }, { sub: 'bob' }, { sub: 'ann' }].map((claims) => purposeWith({ claims }))
    const tokens = [await supply.obtain(ann), await supply.obtain(bob), await supply.obtain(again)]
    expect(tokens.map((token) => token?.secret.reveal())).toEqual(['AT_CANARY-1', 'AT_CANARY-2', 'AT_CANARY-1'])
    expect(supply.state().separate).toBe(2)
  })

  test('by the same name with another token is another subject', async () => {
    const { supply } = build()
    await supply.obtain(purposeWith({ claims: { jti: 1 } }))
    await supply.obtain(purposeWith({ claims: { jti: 2 } }))
    expect(issuer.requests).toHaveLength(2)
  })

  test('with a key and no token is refused, and the issuer is not asked', async () => {
    expect(await refusalOf(build().supply, purposeWithout())).toMatch(
      /^identity-missing: checkout has proved itself by api-key, which is no token/,
    )
    expect(issuer.requests).toHaveLength(0)
  })

  test('is nobody when somebody looks whether there is a credential', async () => {
    expect(await refusalOf(build().supply)).toMatch(/^credential-failed: each caller has a credential of its own here/)
  })
})

describe('a forwarded token', () => {
  const subject = { from: 'header', header: 'x-forwarded-access-token', trustedCallers: ['gateway'] }
  const field = ['X-Forwarded-Access-Token', 'user-token']

  test('is exchanged for the hop that is trusted', async () => {
    await build({ subject }).supply.obtain(purposeWithout('gateway', field))
    expect(bodyOf(0).get('subject_token')).toBe('user-token')
    expect(bodyOf(0).get('subject_token_type')).toBe(`${TYPE}access_token`)
  })

  test.each([
    ['of anybody else', purposeWithout('checkout', field), 'checkout is not trusted to say'],
    ['of anybody else with a token', purposeWith({ caller: 'job', fields: field }), 'job is not trusted to say'],
    ['that is not there', purposeWithout('gateway'), 'has to be there once'],
    ['that is there twice', purposeWithout('gateway', [...field, ...field]), 'has to be there once'],
    ['that is none', purposeWithout('gateway', ['x-forwarded-access-token', 'a b']), 'is no token'],
  ])('%s is refused', async (_whose, purpose, reason) => {
    expect(await refusalOf(build({ subject }).supply, purpose)).toMatch(new RegExp(`^identity-missing: .*${reason}`))
    expect(issuer.requests).toHaveLength(0)
  })
})

describe('a token of another connection', () => {
  const subject = { from: 'connection', connection: 'idp' }

  test('is exchanged, and asked for anew when the issuer calls it worthless', async () => {
    const inner = build({ clientId: 'a', ...file })
    const { supply } = build({ subject }, { more: { connection: () => inner.supply } })
    issuer.answer((request) => {
      const token = new URLSearchParams(request.body).get('subject_token')
      if (token === SECRET) return exchanged({ access_token: `inner-${issuer.requests.length}` })
      return token === 'inner-1'
        ? { status: 400, body: { error: 'invalid_request' } }
        : exchanged({ access_token: 'outer' })
    })
    expect((await supply.obtain())?.secret.reveal()).toBe('outer')
    expect(issuer.requests.map((_, at) => bodyOf(at).get('subject_token'))).toEqual([
      SECRET,
      'inner-1',
      SECRET,
      'inner-3',
    ])
    expect(supply.state().separate).toBeUndefined()
  })

  test('that each caller has of its own is exchanged for each', async () => {
    const inner = build()
    const { supply } = build({ subject }, { more: { connection: () => inner.supply } })
    const [ann, bob] = [{ sub: 'ann' }, { sub: 'bob' }].map((claims) => purposeWith({ claims }))
    await supply.obtain(ann)
    await supply.obtain(bob)
    await supply.obtain(ann)
    expect(supply.state().separate).toBe(2)
    expect(issuer.requests).toHaveLength(4)
    expect(await refusalOf(supply, purposeWithout())).toMatch(/^identity-missing/)
  })

  test('that cannot be had leaves nothing to use', async () => {
    issuer.answer({ status: 503 })
    const inner = build(file)
    const { supply } = build({ subject }, { more: { connection: () => inner.supply } })
    expect(await refusalOf(supply)).toBe('credential-unavailable: login.test answered 503')
    expect(issuer.requests).toHaveLength(1)
  })
})

describe('the lifetime', () => {
  test('is that of the subject token where the issuer promises more, and no refresh is tried in between', async () => {
    const { supply, clock } = build()
    const exp = clock.now() / 1000 + 600
    const purpose = purposeWith({ claims: { exp } })
    expect(await supply.obtain(purpose)).toMatchObject({ expiresAt: exp * 1000 })
    clock.advance(585_000)
    await supply.obtain(purpose)
    expect(supply.state().phase).toBe('fresh')
    clock.advance(6_000)
    await supply.obtain(purpose)
    expect(issuer.requests).toHaveLength(2)
  })

  test('is that of the new token where it copies the exp of an old subject', async () => {
    const { supply, clock } = build(file, { secret: 'opaque' })
    const exp = clock.now() / 1000 + 40
    issuer.answer(exchanged({ access_token: tokenWith({ exp }), expires_in: 3600 }))
    expect(await supply.obtain()).toMatchObject({ expiresAt: exp * 1000 })
  })

  test('of a subject token that is over is told before the issuer is asked', async () => {
    const { supply, clock } = build()
    const purpose = purposeWith({ claims: { exp: clock.now() / 1000 } })
    expect(await refusalOf(supply, purpose)).toBe('identity-missing: the token of job has expired')
    const old = tokenWith({ exp: clock.now() / 1000 - 1 })
    const kept = build(file, { secret: old })
    expect(await refusalOf(kept.supply)).toMatch(/^credential-failed: the token of file:secrets\/token has expired/)
    expect(issuer.requests).toHaveLength(0)
    kept.rotate(tokenWith({ exp: clock.now() / 1000 + 600 }))
    expect(await kept.supply.obtain()).toMatchObject({ generation: 1 })
  })

  test('ends with the subject token also for who has an exchanged one already', async () => {
    const { supply, clock } = build()
    const purpose = purposeWith({ claims: { exp: clock.now() / 1000 + 60 } })
    await supply.obtain(purpose)
    clock.advance(60_000)
    expect(await refusalOf(supply, purpose)).toMatch(/^identity-missing/)
  })
})

describe('an answer', () => {
  test.each([
    ['without issued_token_type', { issued_token_type: undefined }, {}, /no issued_token_type/],
    ['of a refresh token', { issued_token_type: `${TYPE}refresh_token` }, {}, /another type of token/],
    ['of an id_token nobody asked for', { issued_token_type: `${TYPE}id_token` }, {}, /another type of token/],
    ['that is no access token', { token_type: 'N_A' }, {}, /token_type that is not Bearer/],
    ['N_A to a wish for an access token', { token_type: 'N_A' }, { requestedTokenType: 'access_token' }, /not Bearer/],
    ['of another type than asked for', {}, { requestedTokenType: 'id_token' }, /another type of token/],
    ['without a token', { access_token: undefined }, {}, /access_token that is missing/],
    ['with the very token that was shown', { access_token: SECRET }, {}, /the very token that it was to exchange/],
  ])('%s is refused', async (_what, changes, settings, reason) => {
    issuer.answer(exchanged(changes))
    expect(await refusalOf(build({ ...file, ...settings }).supply)).toMatch(reason)
  })

  test.each([
    [
      'an id_token that was asked for',
      { requestedTokenType: 'id_token' },
      { issued_token_type: `${TYPE}id_token`, token_type: 'N_A' },
    ],
    ['a jwt without being asked', {}, { issued_token_type: `${TYPE}jwt` }],
    ['no type where that is allowed', { issuedTokenType: 'optional' }, { issued_token_type: undefined }],
  ])('with %s is taken', async (_what, settings, changes) => {
    issuer.answer(exchanged(changes))
    expect(await refusalOf(build({ ...file, ...settings }).supply)).toBe('a credential')
  })

  test.each([
    [400, 'invalid_grant', /invalid_grant: what is exchanged was not taken: /],
    [400, 'invalid_target', /invalid_target: compare audience or resource with what is registered there$/],
    [401, 'invalid_client', /invalid_client: compare clientId, its secret or key, and clientAuth with .*$/],
  ])('%s %s injects nothing, repeats no text, and is not asked for again', async (status, error, told) => {
    issuer.answer({ status, body: { error, error_description: 'AT_CANARY' } })
    const { supply } = build()
    const purpose = purposeWith()
    for (let i = 0; i < 3; i += 1) {
      const refusal = await refusalOf(supply, purpose)
      expect(refusal).toMatch(told)
      expect(refusal).toContain(`credential-failed: login.test answered ${status} ${error}`)
      expect(refusal).not.toContain('AT_CANARY')
    }
    expect(issuer.requests).toHaveLength(1)
  })
})

describe('a principal that a claim chooses', () => {
  const clientIdFrom = { claim: 'role', map: { analyst: 'sp-1', admin: 'sp-2' } }

  test('is the client of the exchange, and shares nothing with another', async () => {
    const { supply } = build({ clientIdFrom, ...file })
    const analyst = await supply.obtain(purposeWith({ claims: { role: 'analyst' } }))
    const admin = await supply.obtain(purposeWith({ claims: { role: ['admin', 'other'] } }))
    await supply.obtain(purposeWith({ caller: 'else', claims: { role: 'analyst' } }))
    expect(issuer.requests.map((_, at) => bodyOf(at).get('client_id'))).toEqual(['sp-1', 'sp-2'])
    expect([analyst, admin].map((credential) => credential?.lineage?.actsAs)).toEqual(['sp-1', 'sp-2'])
    expect(analyst?.secret.equals(admin?.secret ?? new Secret(''))).toBe(false)
  })

  test.each([
    ['no such claim', {}, 'is not in the map'],
    ['another value', { role: 'Analyst' }, 'is not in the map'],
    ['a name of every object', { role: 'constructor' }, 'is not in the map'],
    ['two of them', { role: ['analyst', 'admin'] }, 'means more than one identity'],
  ])('is nobody with %s', async (_what, claims, reason) => {
    expect(await refusalOf(build({ clientIdFrom }).supply, purposeWith({ claims }))).toMatch(
      new RegExp(`^identity-missing: the claim role of job ${reason}`),
    )
    expect(issuer.requests).toHaveLength(0)
  })

  test('is nobody for a caller without a token', async () => {
    expect(await refusalOf(build({ clientIdFrom, ...file }).supply, purposeWithout())).toMatch(/^identity-missing/)
  })
})

test('a claim of another issuer makes nobody a principal', async () => {
  const clientIdFrom = { claim: 'role', map: { admin: 'sp-2' }, issuer: 'https://idp.test' }
  const { supply } = build({ clientIdFrom, ...file })
  for (const iss of ['https://partner.test', undefined])
    expect(await refusalOf(supply, purposeWith({ claims: { role: 'admin', iss } }))).toMatch(
      /^identity-missing: the token of job is of another issuer/,
    )
  expect(await refusalOf(supply, purposeWith({ claims: { role: 'admin', iss: 'https://idp.test' } }))).toBe(
    'a credential',
  )
})

describe('settings', () => {
  test.each([
    [{ clientIdFrom: { claim: 'r', map: { a: 'b' } }, clientId: 'c' }, 'leave it out: clientIdFrom chooses one'],
    [{ clientIdFrom: { claim: 'r', map: { a: 'b' } }, clientAuth: 'body', clientSecret: { file: 'x' } }, 'use none'],
    [{ clientIdFrom: { claim: 'r', map: {} } }, 'name at least one value'],
    [{ clientAuth: 'body', clientSecret: { file: 'x' } }, 'add it: clientAuth body proves a client'],
    [{ actorTokenType: 'jwt' }, 'there is no actor'],
    [{ requestedTokenType: 'refresh_token' }, 'use a type that can be injected'],
    [{ subjectTokenType: 'magic' }, 'use one of access_token'],
    [{ resource: 'not a uri' }, 'use absolute URIs'],
    [{ resource: ['https://a.test', 'https://a.test/#x'] }, 'use absolute URIs'],
    [{ tokenParams: { subject_token: 'x' } }, 'subject_token has a setting of its own'],
    [{ tokenParams: { audience: 'x' } }, 'audience has a setting of its own'],
    [{ subject: { from: 'header', header: 'authorization', trustedCallers: ['a'] } }, 'use a name such as'],
    [{ subject: { from: 'header', header: 'x-forwarded-user', trustedCallers: [] } }, ''],
    [{ subject: { from: 'nowhere' } }, 'use { from: caller }'],
    [{ subject: undefined }, 'use { from: caller }'],
  ])('%j is refused', (changes, message) => {
    const least = { kind: 'token-exchange', tokenEndpoint: 'https://login.test/', subject: { from: 'caller' } }
    const result = sourceSettings.safeParse({ ...least, ...changes })
    expect(result.error?.issues.map((issue) => issue.message).join()).toContain(message)
    expect(result.success).toBe(false)
  })
})
