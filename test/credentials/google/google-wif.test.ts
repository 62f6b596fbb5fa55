import { inspect } from 'node:util'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { buildSupply, sourceSettings } from '../../../src/credentials/registry.ts'
import { type Authority, makeAuthority } from '../../support/certificates.ts'
import { purposeWith } from '../../support/purpose.ts'
import { type Quirk, type QuirkIssuer, startQuirkIssuer, tokenAnswer } from '../../support/quirk-issuer.ts'
import { loopback, makeSourceTools } from '../../support/source-tools.ts'

const AUDIENCE = '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/k8s'
const ACCESS = 'urn:ietf:params:oauth:token-type:access_token'
const ROBOT = 'robot@project.iam.gserviceaccount.com'

let authority: Authority
let issuer: QuirkIssuer
let impersonated: (count: number) => Quirk

beforeAll(async () => {
  authority = await makeAuthority()
})

beforeEach(async () => {
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
  issuer.answer(({ target }) =>
    target === '/v1/token'
      ? tokenAnswer({ access_token: 'federated_CANARY', issued_token_type: ACCESS })
      : impersonated(issuer.requests.length),
  )
})

afterEach(() => issuer.stop())

function build(changes: object = {}) {
  const made = makeSourceTools({ secret: 'LT_CANARY', ca: authority.certPem })
  impersonated = (count) => ({
    body: { accessToken: `robot_CANARY-${count}`, expireTime: new Date(made.clock.now() + 1_800_000).toISOString() },
  })
  const settings = sourceSettings.parse({
    kind: 'google-wif',
    audience: AUDIENCE,
    subject: { from: 'file', token: { file: 'secrets/token' } },
    tokenEndpoint: `https://login.test:${issuer.port}/v1/token`,
    impersonationEndpoint: `https://login.test:${issuer.port}`,
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
    ...changes,
  })
  return { ...made, supply: buildSupply(settings, made.tools) }
}

function headerOf(index: number, name: string): string | undefined {
  const raw = issuer.requests[index]?.rawHeaders ?? []
  return raw[raw.findIndex((each, at) => at % 2 === 0 && each.toLowerCase() === name) + 1]
}

test('exchanges the workload’s token as the Security Token Service wants it, and names no client', async () => {
  const { supply } = build({ scope: 'https://a.test/one two' })
  expect((await supply.obtain())?.secret.reveal()).toBe('federated_CANARY')
  expect(Object.fromEntries(new URLSearchParams(issuer.requests[0]?.body))).toEqual({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    audience: AUDIENCE,
    scope: 'https://a.test/one two',
    requested_token_type: ACCESS,
    subject_token: 'LT_CANARY',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
  })
  expect(issuer.requests).toHaveLength(1)
})

test('goes on to the service account, and lives until its expireTime', async () => {
  const { supply, clock } = build({ serviceAccount: ROBOT, scope: 'one two', impersonationLifetimeMs: 1_800_000 })
  const credential = await supply.obtain()
  expect(credential).toMatchObject({ expiresAt: clock.now() + 1_800_000, lineage: { actsAs: ROBOT } })
  expect(credential?.secret.reveal()).toBe('robot_CANARY-2')
  expect(credential?.behind?.name).toBe('file:secrets/token')
  expect(new URLSearchParams(issuer.requests[0]?.body).get('scope')).toMatch(/cloud-platform$/)
  expect(issuer.requests[1]?.target).toBe(`/v1/projects/-/serviceAccounts/${ROBOT}:generateAccessToken`)
  expect(JSON.parse(issuer.requests[1]?.body ?? '')).toEqual({ scope: ['one', 'two'], lifetime: '1800s' })
  expect(headerOf(1, 'authorization')).toBe('Bearer federated_CANARY')
})

test('on behalf of callers there is one for each', async () => {
  const { supply } = build({ serviceAccount: ROBOT, subject: { from: 'caller' } })
  const [ann, bob] = [{ sub: 'ann' }, { sub: 'bob' }].map((claims) => purposeWith({ claims }))
  const tokens = [await supply.obtain(ann), await supply.obtain(bob), await supply.obtain(ann)]
  expect(tokens.map((token) => token?.secret.reveal())).toEqual(['robot_CANARY-2', 'robot_CANARY-4', 'robot_CANARY-2'])
})

describe('an impersonation that fails', () => {
  test.each([
    [
      'for want of a role',
      { status: 403, body: { error: { message: 'CANARY' } } },
      /^credential-failed: .* 403: the principal/,
    ],
    ['for nobody', { status: 404, body: {} }, /^credential-failed: .* 404/],
    ['by a wrong request', { status: 400, body: {} }, /^credential-failed: .* 400 to the impersonation/],
    ['by a redirect', { status: 302, headers: { location: 'https://evil.test/' } }, /^credential-failed: .* 302/],
    ['for a while', { status: 503, headers: { 'retry-after': '9' } }, /^credential-unavailable: .* 503/],
    ['by too much', { status: 429 }, /^credential-unavailable: .* 429/],
    ['with no JSON', { body: '<html>CANARY' }, /no accessToken/],
    ['with no token', { body: { accessToken: null, expireTime: '2030-01-01T00:00:00Z' } }, /no accessToken/],
    ['with no time', { body: { accessToken: 'CANARY' } }, /no expireTime/],
    ['with a time of its own', { body: { accessToken: 'CANARY', expireTime: 'tomorrow' } }, /no expireTime/],
    [
      'with a time that has passed',
      { body: { accessToken: 'CANARY', expireTime: '2020-01-01T00:00:00Z' } },
      /had expired/,
    ],
  ])('%s leaves nothing, not even the federated token', async (_how, quirk, reason) => {
    const { supply, events } = build({ serviceAccount: ROBOT })
    impersonated = () => quirk
    const problem: unknown = await Promise.resolve(supply.obtain()).catch((error: unknown) => error)
    expect(String(problem instanceof Error && problem.message)).toMatch(reason)
    expect(inspect([problem, events, supply.state()], { depth: 20, showHidden: true })).not.toContain('CANARY')
  })
})

test.each([
  [{ audience: 'iam.googleapis.com/projects/1' }, 'use the full name of the provider'],
  [{ serviceAccount: 'a/../b@c' }, 'use the e-mail address'],
  [{ impersonationEndpoint: 'http://a.test' }, 'use https://'],
  [{ tokenEndpoint: 'http://a.test' }, 'use https://'],
  [{ tokenParams: { scope: 'x' } }, 'use `options` alone'],
  [{ clientId: 'x' }, 'Unrecognized key'],
])('settings %j are refused', (changes, message) => {
  const least = { kind: 'google-wif', audience: AUDIENCE, subject: { from: 'caller' } }
  expect(sourceSettings.safeParse({ ...least, ...changes }).error?.issues[0]?.message).toContain(message)
})
