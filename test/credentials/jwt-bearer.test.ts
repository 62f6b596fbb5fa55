import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { inspect } from 'node:util'
import { type JWTPayload, jwtVerify } from 'jose'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { buildSupply, sourceSettings } from '../../src/credentials/registry.ts'
import { type Authority, makeAuthority } from '../support/certificates.ts'
import { type QuirkIssuer, startQuirkIssuer, tokenAnswer } from '../support/quirk-issuer.ts'
import { loopback, makeSourceTools } from '../support/source-tools.ts'

const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const pem = newKey()
const other = newKey()

let authority: Authority
let issuer: QuirkIssuer

beforeAll(async () => {
  authority = await makeAuthority()
})

beforeEach(async () => {
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
})

afterEach(() => issuer.stop())

function newKey(): string {
  return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' })
}

function endpoint(): string {
  return `https://login.test:${issuer.port}/token`
}

function build(changes: object, secret = pem) {
  const made = makeSourceTools({ secret, ca: authority.certPem })
  const settings = sourceSettings.parse({
    kind: 'jwt-bearer',
    tokenEndpoint: endpoint(),
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
    ...changes,
  })
  return { ...made, supply: buildSupply(settings, made.tools) }
}

function bodyOf(index = 0): URLSearchParams {
  return new URLSearchParams(issuer.requests[index]?.body)
}

/** What was signed, once the signature is found right. */
async function assertionOf(now: number, index = 0, key = pem) {
  const { payload, protectedHeader } = await jwtVerify(bodyOf(index).get('assertion') ?? '', createPublicKey(key), {
    currentDate: new Date(now),
  })
  return { payload, protectedHeader }
}

function withoutTimes({ iat: _iat, exp: _exp, jti: _jti, ...claims }: JWTPayload): object {
  return claims
}

function keyFile(changes: object = {}): string {
  const file = {
    type: 'service_account',
    project_id: 'p',
    private_key_id: 'k-1',
    private_key: pem,
    client_email: 'robot@p.iam.gserviceaccount.com',
    token_uri: endpoint(),
  }
  return JSON.stringify({ ...file, ...changes })
}

const google = { serviceAccount: { file: 'secrets/robot.json' } }

describe('an assertion', () => {
  test('has the form of Salesforce: the client signs, for a user, towards the login host', async () => {
    const assertion = { subject: 'ann@example.com', audience: 'https://login.salesforce.test' }
    issuer.answer(tokenAnswer({ expires_in: undefined, instance_url: 'https://a.test', issued_at: '1' }))
    const { supply, clock } = build({ key: { file: 'k' }, clientId: '3MVG9', assertion })
    expect(await supply.obtain()).toMatchObject({ expiresAt: clock.now() + 300_000 })
    const { payload, protectedHeader } = await assertionOf(clock.now())
    expect(protectedHeader).toEqual({ alg: 'RS256', typ: 'JWT' })
    expect(withoutTimes(payload)).toEqual({
      iss: '3MVG9',
      sub: 'ann@example.com',
      aud: 'https://login.salesforce.test',
    })
    expect(bodyOf().get('grant_type')).toBe(GRANT)
    expect(bodyOf().get('client_id')).toBe('3MVG9')
  })

  test('has the form of Google: read from the key file, scope as a claim, no client', async () => {
    const assertion = { scope: 'a b', subject: 'admin@example.com', lifetimeMs: 3_600_000 }
    const { supply, clock } = build({ ...google, assertion }, keyFile())
    const credential = await supply.obtain()
    const { payload, protectedHeader } = await assertionOf(clock.now())
    expect(protectedHeader).toEqual({ alg: 'RS256', typ: 'JWT', kid: 'k-1' })
    expect(withoutTimes(payload)).toEqual({
      iss: 'robot@p.iam.gserviceaccount.com',
      sub: 'admin@example.com',
      aud: endpoint(),
      scope: 'a b',
    })
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(3600)
    expect([...bodyOf().keys()]).toEqual(['assertion', 'grant_type'])
    expect(credential?.behind?.name).toBe('file:secrets/robot.json')
  })

  test('J22: is a new one each time, signed by the key as it stands now, with free claims', async () => {
    const assertion = { issuer: 'me', kid: 'one', claims: { box_sub_type: 'enterprise', n: 1 } }
    const { supply, clock, rotate } = build({ key: { file: 'k' }, assertion })
    await supply.obtain()
    const first = await assertionOf(clock.now())
    expect(withoutTimes(first.payload)).toEqual({ iss: 'me', aud: endpoint(), box_sub_type: 'enterprise', n: 1 })
    expect(first.protectedHeader.kid).toBe('one')
    expect((first.payload.exp ?? 0) - clock.now() / 1000).toBeLessThanOrEqual(300)
    rotate(other)
    clock.advance(3_600_000)
    await supply.obtain()
    const second = await assertionOf(clock.now(), 1, other)
    expect(second.payload.jti).not.toBe(first.payload.jti)
  })
})

describe('nothing is asked with', () => {
  test.each([
    ['a key that is none', { key: { file: 'k' }, clientId: 'c' }, (): string => 'LT_CANARY', /no private key in PEM/],
    [
      'a key of another type',
      { key: { file: 'k' }, clientId: 'c', assertion: { alg: 'ES256' } },
      (): string => pem,
      /does not fit ES256/,
    ],
    ['a key file that is no JSON', google, (): string => 'LT_CANARY', /serviceAccount is no JSON object with "type"/],
    [
      'a user’s own credentials',
      google,
      (): string => keyFile({ type: 'authorized_user' }),
      /is no JSON object with "type"/,
    ],
    ['a key file without a key', google, (): string => keyFile({ private_key: undefined }), /has no private_key/],
    [
      'a key file for elsewhere',
      google,
      (): string => keyFile({ token_uri: 'https://evil.test/' }),
      /names another token_uri/,
    ],
  ])('%s, which is told for good and not shown', async (_what, changes, secret, reason) => {
    const { supply } = build(changes, secret())
    for (let i = 0; i < 2; i += 1) {
      const problem = await Promise.resolve(supply.obtain()).catch((error: unknown) => error)
      expect(problem).toMatchObject({
        code: 'credential-failed',
        reason: expect.stringMatching(reason),
        retryAfter: undefined,
      })
      expect(inspect(problem, { depth: 9, showHidden: true })).not.toMatch(/LT_CANARY|evil\.test|BEGIN PRIVATE/)
    }
    expect(issuer.requests).toHaveLength(0)
  })
})

test('a refused assertion is not sent again until the key changes', async () => {
  issuer.answer({ status: 400, body: { error: 'invalid_grant', error_description: 'Invalid JWT' } })
  const { supply, rotate } = build({ key: { file: 'k' }, clientId: 'c' })
  const reason = expect.stringMatching(
    /400 invalid_grant: the assertion was not taken: compare its key, iss, sub and aud/,
  )
  for (let i = 0; i < 3; i += 1) await expect(supply.obtain()).rejects.toMatchObject({ reason })
  expect(issuer.requests).toHaveLength(1)
  issuer.answer(tokenAnswer())
  rotate(other)
  expect(await supply.obtain()).toMatchObject({ generation: 1 })
})

test.each([
  [{ clientId: 'c' }, 'use exactly one of key and serviceAccount'],
  [{ clientId: 'c', key: { file: 'k' }, serviceAccount: { file: 'k' } }, 'use exactly one of key'],
  [{ key: { file: 'k' } }, 'add it, or clientId: who signs has to be said'],
  [{ key: { file: 'k' }, clientId: 'c', assertion: { claims: { exp: 1 } } }, 'exp has a setting of its own'],
  [{ key: { file: 'k' }, clientId: 'c', assertion: { alg: 'none' } }, 'Invalid option'],
  [{ key: { file: 'k' }, clientId: 'c', assertion: { alg: 'HS256' } }, 'Invalid option'],
  [{ key: { file: 'k' }, clientId: 'c', tokenParams: { assertion: 'x' } }, 'assertion has a setting of its own'],
  [
    { key: { file: 'k' }, assertion: { issuer: 'i' }, clientAuth: 'body', clientSecret: { file: 's' } },
    'add it: clientAuth body',
  ],
  [{ ...google, scope: 'a' }, 'use assertion.scope'],
  [{ ...google, assertion: { kid: 'a' } }, 'leave it out: it is read from the file'],
  [{ ...google, tokenEndpoint: undefined, issuer: 'https://a.test' }, 'add it: the token_uri of the file'],
])('settings %j are refused', (changes, message) => {
  const result = sourceSettings.safeParse({ kind: 'jwt-bearer', tokenEndpoint: 'https://login.test/', ...changes })
  expect(result.error?.issues.map((issue) => issue.message).join()).toContain(message)
})
