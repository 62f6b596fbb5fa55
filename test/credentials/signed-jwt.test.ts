import { execFileSync } from 'node:child_process'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { inspect } from 'node:util'
import { jwtVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import { buildSupply, sourceSettings } from '../../src/credentials/registry.ts'
import { makeSourceTools, theSecret } from '../support/source-tools.ts'

const pem = (pair: { readonly privateKey: { export(options: object): string | Buffer } }) =>
  pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const rsa = pem(generateKeyPairSync('rsa', { modulusLength: 2048 }))
const other = pem(generateKeyPairSync('rsa', { modulusLength: 2048 }))

function setUp(more: object, secret = rsa) {
  const made = makeSourceTools({ secret })
  // The tools answer any reference with their one secret; this one has passed no file.
  const settings = sourceSettings.parse({ kind: 'signed-jwt', key: { file: 'key.pem' }, ...more })
  const supply = buildSupply({ ...settings, key: theSecret } as never, made.tools) // the same settings with another reference
  const verify = async (key = secret) => {
    const token = (await supply.obtain())?.secret.reveal() ?? ''
    const verified = await jwtVerify(token, createPublicKey(key), { currentDate: new Date(made.clock.now()) })
    return { ...verified, token }
  }
  return { ...made, supply, verify }
}

describe('a JWT that is the credential itself', () => {
  test('is that of a GitHub App: begun in the past, and over within ten minutes', async () => {
    const { verify, clock } = setUp({ claims: { iss: '12345' } })
    const { payload, protectedHeader } = await verify()
    expect(protectedHeader).toEqual({ alg: 'RS256', typ: 'JWT' })
    expect(payload.iss).toBe('12345')
    const now = clock.now() / 1000
    expect(payload.iat).toBe(now - 30)
    expect(payload.exp).toBeLessThanOrEqual(now + 600)
  })

  test('is that of a Google service account, with the id of its key', async () => {
    const account = 'robot@project.iam.example'
    const claims = { iss: account, sub: account, aud: 'https://pubsub.googleapis.com/' }
    const { verify } = setUp({ claims, kid: 'key-1', lifetimeMs: 3_600_000 })
    const { payload, protectedHeader } = await verify()
    expect(protectedHeader).toEqual({ alg: 'RS256', typ: 'JWT', kid: 'key-1' })
    expect(payload).toMatchObject(claims)
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(3600)
  })

  test.each([
    ['myorg-account1', 'MYORG-ACCOUNT1'],
    ['xy12345.eu-west-1.aws', 'XY12345'],
    ['acme-abc123.global', 'ACME'],
  ])('is that of a key pair of Snowflake in the account %s', async (account, name) => {
    const { payload } = await setUp({ snowflake: { account, user: 'etl_user' } }).verify()
    const der = execFileSync('openssl', ['pkey', '-pubout', '-outform', 'DER'], { input: rsa })
    const digest = execFileSync('openssl', ['dgst', '-sha256', '-binary'], { input: der }).toString('base64')
    expect(payload).toMatchObject({ iss: `${name}.ETL_USER.SHA256:${digest}`, sub: `${name}.ETL_USER` })
  })

  test('is signed anew before it is over, with another jti', async () => {
    const { verify, clock } = setUp({ claims: { iss: 'me' } })
    const first = await verify()
    clock.advance(500_000)
    expect((await verify()).payload.jti).not.toBe(first.payload.jti)
  })

  test('is signed with the key as it stands: one that was rotated serves at the next', async () => {
    const { verify, clock, rotate, supply } = setUp({ claims: { iss: 'me' } })
    await verify()
    rotate(other)
    clock.advance(540_000)
    await verify(other)
    expect((await supply.obtain())?.behind?.secret.reveal()).toBe(other)
  })

  test('is in no text that is printed, and neither is its key', async () => {
    const { verify, supply, events } = setUp({ claims: { iss: 'me' } })
    const { token } = await verify()
    const shown = inspect([supply, await supply.obtain(), events], { depth: 9, showHidden: true })
    expect(shown).not.toContain(token.split('.')[2])
    expect(shown).not.toContain(rsa.split('\n')[1])
  })
})

describe('what cannot be signed injects nothing', () => {
  test.each([
    ['a text that is no key', 'LT_CANARY', {}, /^to sign with: no private key in PEM/],
    [
      'the same for Snowflake',
      'LT_CANARY',
      { snowflake: { account: 'a', user: 'b' } },
      /^to sign with: no private key/,
    ],
    ['a key of another type', rsa, { alg: 'ES256' }, /does not fit ES256/],
  ])('%s', async (_what, key, more, reason) => {
    const { supply, rotate } = setUp({ claims: { aud: 'x' }, ...more }, key)
    const ask = () => Promise.resolve(supply.obtain()).catch((error: unknown) => error)
    expect(await ask()).toMatchObject({ code: 'credential-failed', reason: expect.stringMatching(reason) })
    // It lasts until the key is another one.
    rotate(pem(generateKeyPairSync('ec', { namedCurve: 'P-256' })))
    if ('alg' in more) expect(await ask()).toHaveProperty('secret')
  })

  test.each([
    ['no claim at all', {}, 'claims'],
    ['a time of its own', { claims: { iss: 'me', exp: 9e9 } }, 'claims.exp'],
    ['an id of its own', { claims: { iss: 'me', jti: 'x' } }, 'claims.jti'],
    ['an issuer besides Snowflake’s', { claims: { iss: 'me' }, snowflake: { account: 'a', user: 'b' } }, 'claims.iss'],
    ['a claim that JSON has not', { claims: { iss: Number.NaN } }, 'claims.iss'],
    ['no signature', { claims: { iss: 'me' }, alg: 'none' }, 'alg'],
    ['a shared secret', { claims: { iss: 'me' }, alg: 'HS256' }, 'alg'],
    ['a user that would be another', { snowflake: { account: 'a', user: 'b/c' } }, 'snowflake.user'],
  ])('settings refuse %s', (_what, more, path) => {
    const result = sourceSettings.safeParse({ kind: 'signed-jwt', key: { file: 'key.pem' }, ...more })
    expect(result.error?.issues.map((issue) => issue.path.join('.'))).toContain(path)
  })
})
