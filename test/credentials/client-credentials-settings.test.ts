import { expect, test } from 'vitest'
import { sourceSettings } from '../../src/credentials/registry.ts'

const least = {
  kind: 'client-credentials',
  tokenEndpoint: 'https://login.test/token',
  clientId: 'my-app',
  clientSecret: { file: 'secrets/crm' },
}

function messagesFor(changes: object): string[] {
  const result = sourceSettings.safeParse({ ...least, ...changes })
  return result.success ? [] : result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
}

test('needs an endpoint, an id and a secret, and knows the rest', () => {
  expect(sourceSettings.parse(least)).toMatchObject({
    clientAuth: { kind: 'header' },
    basicEncoding: 'rfc6749',
    tokenParams: {},
    defaultLifetimeMs: 300_000,
    maxLifetimeMs: 86_400_000,
    timeoutMs: 10_000,
    tls: {},
    allowPrivate: [],
    unsafeAllowPlaintextIssuer: false,
  })
})

test.each<[string, object, string]>([
  ['both an endpoint and an issuer', { issuer: 'https://login.test' }, ': use exactly one of tokenEndpoint and issuer'],
  ['neither', { tokenEndpoint: undefined }, ': use exactly one of tokenEndpoint and issuer'],
  ['J14: an endpoint in the clear', { tokenEndpoint: 'http://login.test/token' }, 'tokenEndpoint: use https://'],
  ['a user in the URL', { tokenEndpoint: 'https://me@login.test/' }, 'tokenEndpoint: use a URL without user'],
  [
    'an issuer with a query',
    { tokenEndpoint: undefined, issuer: 'https://login.test/?a' },
    'issuer: use an issuer without',
  ],
  ['a parameter with a setting of its own', { tokenParams: { scope: 'a' } }, 'tokenParams.scope: scope has a setting'],
  ['a secret among the parameters', { tokenParams: { client_secret: 'a' } }, 'tokenParams.client_secret: '],
  ['a grant type', { tokenParams: { grant_type: 'password' } }, 'tokenParams.grant_type: '],
  ['a colon in a raw id', { clientId: 'a:b', basicEncoding: 'raw' }, 'clientId: use basicEncoding: rfc6749'],
  ['an id that cannot be sent', { clientId: 'é' }, 'clientId: use printable ASCII'],
  ['an unknown key', { clientSecretFile: 'x' }, ': Unrecognized key'],
])('refuses %s', (_what, changes, message) => {
  const messages = messagesFor(changes)
  expect(messages).toHaveLength(1)
  expect(messages[0]).toContain(message)
})

test('refuses a secret in the settings themselves, and does not repeat it', () => {
  const messages = messagesFor({ clientSecret: 'LT_CANARY' })
  expect(messages).not.toEqual([])
  expect(messages.join()).not.toContain('LT_CANARY')
})

test.each<[string, object]>([
  ['an issuer', { tokenEndpoint: undefined, issuer: 'https://login.test/tenant' }],
  [
    'further parameters',
    { tokenParams: { audience: 'https://api.test', resource: ['https://a.test', 'https://b.test'] } },
  ],
  [
    'an endpoint in the clear that is named unsafe',
    { tokenEndpoint: 'http://127.0.0.1:1/t', unsafeAllowPlaintextIssuer: true },
  ],
  ['a colon in an id that is encoded', { clientId: 'a:b' }],
  ['a colon in an id that goes into the body', { clientId: 'a:b', basicEncoding: 'raw', clientAuth: 'body' }],
])('takes %s', (_what, changes) => {
  expect(messagesFor(changes)).toEqual([])
})
