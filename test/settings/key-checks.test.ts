import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import { faultOfKey } from '../../src/oauth/key-fit.ts'
import { type SigningAlgorithm, signingAlgorithm, signJwt } from '../../src/oauth/sign-jwt.ts'
import { keyFaults } from '../../src/settings/key-checks.ts'
import { settingsSchema } from '../../src/settings/schema.ts'
import { References } from '../support/references.ts'

const pem = (pair: { readonly privateKey: { export(options: object): string | Buffer } }) =>
  pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const keys = {
  rsa: pem(generateKeyPairSync('rsa', { modulusLength: 2048 })),
  short: pem(generateKeyPairSync('rsa', { modulusLength: 1024 })),
  pss: pem(generateKeyPairSync('rsa-pss', { modulusLength: 2048 })),
  p256: pem(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
  p384: pem(generateKeyPairSync('ec', { namedCurve: 'P-384' })),
  p521: pem(generateKeyPairSync('ec', { namedCurve: 'P-521' })),
  koblitz: pem(generateKeyPairSync('ec', { namedCurve: 'secp256k1' })),
  ed25519: pem(generateKeyPairSync('ed25519')),
  ed448: pem(generateKeyPairSync('ed448')),
  x25519: pem(generateKeyPairSync('x25519')),
  none: 'LT_CANARY',
}

describe.each(Object.entries(keys))('the key %s', (_name, text) => {
  test.each(signingAlgorithm.options)('is right for %s exactly where it does sign', async (alg: SigningAlgorithm) => {
    const secret = new Secret(text)
    const signs = await signJwt(secret, { alg, claims: {}, lifetimeMs: 60_000, now: 0 }).then(
      () => true,
      () => false,
    )
    const fault = faultOfKey(alg, secret)
    expect(fault === undefined).toBe(signs)
    expect(fault ?? '').not.toContain('LT_CANARY')
  })
})

test.each([
  [
    { kind: 'signed-jwt', key: { file: 'k' }, alg: 'EdDSA', claims: { iss: 'me' } },
    'use an Ed25519 key: this key cannot sign by EdDSA',
  ],
  [
    { kind: 'github-app', key: { file: 'k' }, appId: 1, installationId: 2 },
    'use an RSA key of 2048 bits or more: this key cannot sign by RS256',
  ],
  [
    { kind: 'jwt-bearer', key: { file: 'k' }, clientId: 'c', tokenEndpoint: 'https://login.test/token' },
    'use an RSA key of 2048 bits or more: this key cannot sign by RS256',
  ],
])('settings %o with a key that does not fit are refused before anything starts', (credential, message) => {
  const settings = settingsSchema.parse({
    listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
    connections: { crm: { hosts: ['api.crm.test'], credential } },
  })
  const references = new References(keys.p256)
  const read = { secret: () => references.secret(), isOpen: () => true }
  expect(keyFaults(settings, read)).toEqual([{ path: ['connections', 'crm', 'credential', 'key'], message }])
  expect(keyFaults(settings, { ...read, isOpen: () => false })).toEqual([])
})

describe('the file of a service account', () => {
  const settings = settingsSchema.parse({
    listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
    connections: {
      crm: {
        hosts: ['api.crm.test'],
        credential: { kind: 'jwt-bearer', serviceAccount: { file: 'k' }, tokenEndpoint: 'https://login.test/token' },
      },
    },
  })
  const file = {
    type: 'service_account',
    private_key_id: 'k-1',
    private_key: keys.rsa,
    client_email: 'robot@p.test',
    token_uri: 'https://login.test/token',
  }

  test.each([
    ['a key alone', keys.rsa, /^the file of serviceAccount is no JSON object with "type"/],
    ['another token_uri', JSON.stringify({ ...file, token_uri: 'https://evil.test' }), /names another token_uri/],
    ['no e-mail', JSON.stringify({ ...file, client_email: '' }), /has no client_email/],
    ['a key that does not fit', JSON.stringify({ ...file, private_key: keys.p256 }), /^use an RSA key of 2048 bits/],
  ])('is refused before anything starts: %s', (_what, text, message) => {
    const references = new References(text)
    const path = ['connections', 'crm', 'credential', 'serviceAccount']
    const faults = keyFaults(settings, { secret: () => references.secret(), isOpen: () => true })
    expect(faults).toEqual([{ path, message: expect.stringMatching(message) }])
  })

  test('is taken as Google gives it out', () => {
    const references = new References(JSON.stringify(file))
    expect(keyFaults(settings, { secret: () => references.secret(), isOpen: () => true })).toEqual([])
  })
})
