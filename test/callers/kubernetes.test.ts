import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildIdentify, type CallerSettings, callerSettings, faultsOfCallers } from '../../src/callers/registry.ts'
import { Secret } from '../../src/core/secret.ts'
import type { FileReference } from '../../src/forms/network.ts'
import { makeCallerTools } from '../support/caller-tools.ts'
import { makeAuthority } from '../support/certificates.ts'
import { type FakeApiServer, startFakeApiServer } from '../support/fake-api-server.ts'
import { claimsAt, jwksOf, makeSigningKey, showing, signToken } from '../support/tokens.ts'

const ISSUER = 'https://kubernetes.default.svc.cluster.local'
const OWN = 'own-token-of-sallyport'
const authority = await makeAuthority()
const signer = await makeSigningKey('RS256')
let api: FakeApiServer

beforeAll(async () => {
  api = await startFakeApiServer(await authority.issue(['api.cluster.test']), 'api.cluster.test')
})
afterAll(() => api.stop())

const offline = { kind: 'kubernetes', issuer: ISSUER, audience: 'sallyport', jwks: { file: 'jwks.json' } }
const reached = { tls: { ca: { file: 'ca.pem' } }, allowPrivate: ['127.0.0.0/8'] }
const online = () => ({
  kind: 'kubernetes',
  apiServer: api.url,
  token: { file: 'own' },
  audience: 'sallyport',
  ...reached,
})

function settingsOf(callers: Readonly<Record<string, object>>): Record<string, CallerSettings> {
  return Object.fromEntries(Object.entries(callers).map(([name, one]) => [name, callerSettings.parse(one)]))
}

function scene(cluster: object, more: Readonly<Record<string, object>> = {}) {
  api.admit(OWN)
  api.instead(undefined)
  const tools = makeCallerTools({ secret: OWN, hosts: ['api.cluster.test'] })
  const files: Readonly<Record<string, string>> = { 'jwks.json': jwksOf(signer), 'ca.pem': authority.certPem }
  const references = {
    secret: () => tools.references.secret(),
    file: ({ file }: FileReference) => files[file] ?? '',
  }
  const identify = buildIdentify(settingsOf({ cluster, ...more }), { ...tools, references })
  const token = (claims: object = {}) =>
    signToken(signer, claimsAt(tools.clock.now(), { iss: ISSUER, aud: ['sallyport'], ...accountClaims(), ...claims }))
  const who = async (text: string) => identify(showing(text))
  const told = async (text: string) => {
    const found = await who(text)
    return found.name ?? `${found.code}: ${found.reason}`
  }
  return { ...tools, token, who, told, changeOwn: (text: string) => tools.references.change(text) }
}

/** As the documentation of service accounts shows them. */
function accountClaims(namespace = 'shop', name = 'checkout'): object {
  const pod = { name: `${name}-7d4`, uid: '2f6a' }
  const node = { name: 'node-3', uid: '91bc' }
  return {
    sub: `system:serviceaccount:${namespace}:${name}`,
    'kubernetes.io': { namespace, serviceaccount: { name, uid: '8f5f' }, pod, node, warnafter: 1 },
  }
}

const USER = { username: 'system:serviceaccount:shop:checkout', audiences: ['sallyport'] }

describe('by the keys of the cluster', () => {
  test('a pod is its namespace and service account, with the groups of Kubernetes, and is found again by pod and node', async () => {
    const { who, token } = scene(offline)
    expect(await who(await token())).toEqual({
      name: 'shop/checkout',
      method: 'kubernetes',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:shop'],
      details: { issuer: ISSUER, subject: USER.username, pod: 'checkout-7d4', node: 'node-3' },
      token: { secret: expect.any(Secret), claims: expect.any(Map) },
    })
  })

  test.each([
    ['the audience of the API server', { aud: ['https://kubernetes.default.svc'] }],
    ['no audience', { aud: undefined }],
    ['an exp that has passed', { exp: 1 }],
    [
      'claims of another namespace than its sub',
      { 'kubernetes.io': { namespace: 'bank', serviceaccount: { name: 'checkout' } } },
    ],
    [
      'claims of another account than its sub',
      { 'kubernetes.io': { namespace: 'shop', serviceaccount: { name: 'root' } } },
    ],
    ['claims that are none', { 'kubernetes.io': 'shop' }],
    ['a user for its sub', { sub: 'system:admin' }],
    ['a node for its sub', { sub: 'system:node:node-3' }],
    ['a sub with more in it', { sub: 'system:serviceaccount:shop:checkout:root' }],
    ['a sub that climbs', { sub: 'system:serviceaccount:shop:../root', 'kubernetes.io': undefined }],
    ['a sub in capitals', { sub: 'system:serviceaccount:Shop:checkout', 'kubernetes.io': undefined }],
    ['a sub that ends with a line feed', { sub: 'system:serviceaccount:shop:checkout\n', 'kubernetes.io': undefined }],
    ['no sub', { sub: undefined }],
    ['another issuer', { iss: 'https://other.test' }],
  ])('a token with %s proves nobody', async (_what, claims) => {
    const { told, token } = scene(offline)
    expect(await told(await token(claims))).toMatch(/^token-rejected: /)
  })

  test('namespaces and accounts that are not listed are nobody', async () => {
    const { told, token } = scene({ ...offline, namespaces: ['shop'], serviceAccounts: ['shop/checkout'] })
    expect(await told(await token())).toBe('shop/checkout')
    expect(await told(await token(accountClaims('bank', 'checkout')))).toMatch(/namespace is not listed/)
    expect(await told(await token(accountClaims('shop', 'root')))).toMatch(/service account is not listed/)
  })

  test('a second cluster has names of its own', async () => {
    const { told, token } = scene({ ...offline, name: 'prod/{namespace}/{serviceAccount}' })
    expect(await told(await token())).toBe('prod/shop/checkout')
    const second = { ...offline, issuer: 'https://other.test' }
    expect(faultsOfCallers(settingsOf({ one: offline, two: second }))).toMatchObject([{ caller: 'two' }])
    expect(
      faultsOfCallers(settingsOf({ one: offline, two: { ...second, name: 'b/{namespace}/{serviceAccount}' } })),
    ).toEqual([])
  })

  test('a name that claims of another issuer could make, too, is nobody’s', async () => {
    const jwt = {
      kind: 'jwt',
      issuer: 'https://ci.test',
      audience: 'sallyport',
      name: 'shop/{sub}',
      jwks: { file: 'jwks.json' },
    }
    const { told, token } = scene(offline, { jwt })
    expect(await told(await token())).toMatch(/may be somebody else/)
  })

  test('keys that the cluster tells only those it knows are asked for with the own token', async () => {
    const issuer = api.url
    api.publish('/.well-known/openid-configuration', { issuer, jwks_uri: `${issuer}/openid/v1/jwks` })
    api.publish('/openid/v1/jwks', jwksOf(signer))
    const { told, token } = scene({
      kind: 'kubernetes',
      issuer,
      audience: 'sallyport',
      token: { file: 'own' },
      ...reached,
    })
    expect(await told(await token({ iss: issuer }))).toBe('shop/checkout')
  })
})

describe('by review of the API server (a fake one)', () => {
  test('who it stands by is known, asked with our own audience and our own token', async () => {
    const { told, token } = scene(online())
    const text = await token()
    api.know(text, USER)
    const before = api.reviews().length
    expect(await told(text)).toBe('shop/checkout')
    expect(api.reviews().slice(before)).toEqual([{ token: text, audiences: ['sallyport'] }])
  })

  test('an answer is believed for ten seconds, and a pod that is gone no longer than that', async () => {
    const { told, token, clock } = scene(online())
    const text = await token()
    api.know(text, USER)
    expect(await told(text)).toBe('shop/checkout')
    const before = api.reviews().length
    api.forget(text)
    clock.advance(9_999)
    expect(await told(text)).toBe('shop/checkout')
    expect(api.reviews()).toHaveLength(before)
    clock.advance(1)
    expect(await told(text)).toMatch(/does not stand by it/)
    expect(await told(text)).toMatch(/does not stand by it/)
    expect(api.reviews()).toHaveLength(before + 1)
  })

  test('all who show one token at once are one question', async () => {
    const { told, token } = scene(online())
    const text = await token()
    api.know(text, USER)
    const before = api.reviews().length
    expect(new Set(await Promise.all(Array.from({ length: 20 }, () => told(text))))).toEqual(new Set(['shop/checkout']))
    expect(api.reviews()).toHaveLength(before + 1)
  })

  test.each([
    [
      'another audience',
      { authenticated: true, user: { username: USER.username }, audiences: ['other'] },
      /another audience/,
    ],
    ['no audience', { authenticated: true, user: { username: USER.username } }, /another audience/],
    [
      'audiences that are none',
      { authenticated: true, user: { username: USER.username }, audiences: 'sallyport' },
      /another audience/,
    ],
    [
      'another user',
      { authenticated: true, user: { username: 'system:serviceaccount:bank:root' }, audiences: ['sallyport'] },
      /somebody else/,
    ],
    ['no user', { authenticated: true, audiences: ['sallyport'] }, /names no user/],
    [
      'yes as a text',
      { authenticated: 'true', user: { username: USER.username }, audiences: ['sallyport'] },
      /does not stand by it/,
    ],
    ['an error', { authenticated: false, error: 'expired' }, /does not stand by it/],
    ['nothing', {}, /does not stand by it/],
  ])('an answer with %s proves nobody', async (_what, status, words) => {
    const { told, token } = scene(online())
    api.instead({ status: 201, body: { status } })
    expect(await told(await token())).toMatch(words)
  })

  test.each([
    ['answers 500', { status: 500 }, /answered 500/],
    ['forbids reviews', { status: 403 }, /system:auth-delegator/],
    ['is no API server', { status: 404 }, /check apiServer/],
    ['redirects', { status: 307, headers: { location: '/x' } }, /answered 307/],
    ['sends HTML', { status: 201, body: '<html>' }, /no TokenReview/],
    ['breaks off', { instead: 'reset' }, /broke off/],
  ] as const)(
    'one that %s proves nobody, tells the operator once, and is not asked again at once',
    async (_what, quirk, words) => {
      const { who, token, faults, clock } = scene(online())
      const text = await token()
      api.know(text, USER)
      api.instead(quirk)
      const before = api.requests.length
      expect(await who(text)).toMatchObject({
        code: 'proof-unverifiable',
        isOurs: true,
        reason: expect.stringMatching(words),
      })
      expect(await who(text)).toMatchObject({ code: 'proof-unverifiable', isOurs: true })
      expect(api.requests).toHaveLength(before + 1)
      expect(faults).toEqual([expect.stringMatching(words)])
      api.instead(undefined)
      clock.advance(1_000)
      expect(await who(text)).toMatchObject({ name: 'shop/checkout' })
    },
  )

  test('a flood of tokens that it is slow to judge is a hundred questions at once, and no more', async () => {
    const { told, token } = scene({ ...online(), timeoutMs: 2_000 })
    api.instead({ instead: 'silence' })
    const before = api.requests.length
    const tokens = await Promise.all(Array.from({ length: 150 }, (_, at) => token({ jti: `flood ${at}` })))
    const answers = await Promise.all(tokens.map(told))
    expect(answers.filter((answer) => answer === 'proof-unverifiable: too many reviews are under way')).toHaveLength(50)
    expect(api.requests.length - before).toBeLessThanOrEqual(100)
    api.instead(undefined)
  })

  test('our own token is read anew for each question', async () => {
    const { told, token, clock, changeOwn } = scene(online())
    const text = await token()
    api.know(text, USER)
    api.admit('the next own token')
    expect(await told(text)).toMatch(/does not know the own token/)
    changeOwn('the next own token')
    clock.advance(1_000)
    expect(await told(text)).toBe('shop/checkout')
  })

  test('what is not for us, has expired, or is no service account’s is never shown to the API server', async () => {
    const { told, token } = scene(online())
    const before = api.requests.length
    const odd = [{ aud: 'other' }, { exp: 1 }, { sub: 'alice', 'kubernetes.io': undefined }, { nbf: 9e9 }]
    for (const claims of odd) expect(await told(await token(claims))).toMatch(/^token-rejected/)
    expect(await told('an opaque key')).toBe('caller-unknown: a wrong proof')
    expect(api.requests).toHaveLength(before)
  })
})

test('with both, forgeries are found by the keys, and the API server has the last word', async () => {
  const { told, token } = scene({ ...offline, ...online() })
  const text = await token()
  // An RSA signature is the same each time, and so is the clock: others may have made it known.
  api.forget(text)
  const before = api.reviews().length
  expect(await told(`${text.slice(0, -4)}AAAA`)).toMatch(/signature is wrong/)
  expect(api.reviews()).toHaveLength(before)
  expect(await told(text)).toMatch(/does not stand by it/)
  expect(api.reviews()).toHaveLength(before + 1)
})

test.each([
  ['neither issuer nor apiServer', { audience: 'a' }, /use issuer/],
  ['apiServer without token', { audience: 'a', apiServer: 'https://api.test' }, /add \{ file: PATH \}/],
  ['apiServer over http', { audience: 'a', apiServer: 'http://api.test', token: { file: 'a' } }, /https/],
  ['no audience', { issuer: ISSUER }, /audience|Invalid input/],
  [
    'jwks without issuer',
    { audience: 'a', apiServer: 'https://api.test', token: { file: 'a' }, jwks: { file: 'a' } },
    /add the issuer/,
  ],
  ['a name without the account', { audience: 'a', issuer: ISSUER, name: 'k/{namespace}' }, /\{serviceAccount\}/],
  [
    'two placeholders in one segment',
    { audience: 'a', issuer: ISSUER, name: 'k/{namespace}-{serviceAccount}' },
    /between two claims/,
  ],
  ['a namespace in capitals', { audience: 'a', issuer: ISSUER, namespaces: ['Shop'] }, /name of a namespace/],
  ['an account alone', { audience: 'a', issuer: ISSUER, serviceAccounts: ['checkout'] }, /NAMESPACE\/SERVICE-ACCOUNT/],
])('settings with %s are refused', (_what, settings, words) => {
  const result = callerSettings.safeParse({ kind: 'kubernetes', ...settings })
  expect(result.success).toBe(false)
  expect(result.error?.issues.map(({ path, message }) => `${path.join('.')} ${message}`).join()).toMatch(words)
})

test('two clusters each need an issuer, and not the same one', () => {
  const fault = (one: object, two: object) => faultsOfCallers(settingsOf({ one, two })).map(({ message }) => message)
  expect(fault(offline, { ...online(), name: 'b/{namespace}/{serviceAccount}' })).toEqual([
    expect.stringMatching(/add its issuer/),
  ])
  expect(fault(offline, { ...offline, name: 'b/{namespace}/{serviceAccount}' })).toEqual([
    expect.stringMatching(/issuer of its own/),
  ])
})
