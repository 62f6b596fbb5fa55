import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { inspect } from 'node:util'
import { decodeProtectedHeader, jwtVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import { type JwtToSign, type SigningAlgorithm, signingAlgorithm, signJwt } from '../../src/oauth/sign-jwt.ts'

const NOW = Date.UTC(2027, 0, 1, 12, 0, 0, 900)

function pem(alg: SigningAlgorithm): string {
  const format = { type: 'pkcs8', format: 'pem' } as const
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519').privateKey.export(format)
  const curve = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }[alg as string] // any other name finds nothing
  if (curve) return generateKeyPairSync('ec', { namedCurve: curve }).privateKey.export(format)
  return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export(format)
}

function asking(changes: Partial<JwtToSign> = {}): JwtToSign {
  return { alg: 'ES256', claims: { iss: 'me', sub: undefined }, lifetimeMs: 300_000, now: NOW, ...changes }
}

const key = pem('ES256')

describe('a JWT of ours', () => {
  test.each(signingAlgorithm.options)('is signed by %s, as its public key confirms', async (alg) => {
    const text = pem(alg)
    const { jwt } = await signJwt(new Secret(text), asking({ alg, header: { kid: 'one', typ: undefined } }))
    const { payload, protectedHeader } = await jwtVerify(jwt.reveal(), createPublicKey(text), {
      currentDate: new Date(NOW),
    })
    expect(protectedHeader).toEqual({ alg, kid: 'one' })
    expect(payload).toMatchObject({ iss: 'me' })
    expect(payload).not.toHaveProperty('sub')
  })

  test('J22: begins 30 s in the past, and ends after its lifetime from there', async () => {
    const { jwt, expiresAt } = await signJwt(new Secret(key), asking())
    const { payload } = await jwtVerify(jwt.reveal(), createPublicKey(key), { currentDate: new Date(NOW) })
    expect(payload.iat).toBe(Math.floor(NOW / 1000) - 30)
    expect(payload.exp).toBe((payload.iat ?? 0) + 300)
    expect(expiresAt).toBe((payload.exp ?? 0) * 1000)
    expect(payload).not.toHaveProperty('nbf')
  })

  test('has a jti of its own each time', async () => {
    const jtis = await Promise.all(
      [1, 2].map(async () => {
        const { jwt } = await signJwt(new Secret(key), asking())
        return (await jwtVerify(jwt.reveal(), createPublicKey(key), { currentDate: new Date(NOW) })).payload.jti
      }),
    )
    expect(new Set(jtis).size).toBe(2)
  })

  test('says from when on it is good where that is wanted', async () => {
    const { jwt } = await signJwt(new Secret(key), asking({ withNotBefore: true }))
    const { payload } = await jwtVerify(jwt.reveal(), createPublicKey(key), { currentDate: new Date(NOW) })
    expect(payload.nbf).toBe(payload.iat)
  })

  test('cannot be given other times or another algorithm by its claims and header', async () => {
    const claims = { iss: 'me', exp: 9e9, iat: 1, jti: 'mine' }
    const { jwt } = await signJwt(new Secret(key), asking({ claims, header: { alg: 'none' } }))
    const { payload } = await jwtVerify(jwt.reveal(), createPublicKey(key), { currentDate: new Date(NOW) })
    expect(payload.exp).toBe((payload.iat ?? 0) + 300)
    expect(payload.jti).not.toBe('mine')
    expect(decodeProtectedHeader(jwt.reveal()).alg).toBe('ES256')
  })
})

describe('a key that cannot sign', () => {
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ type: 'pkcs8', format: 'pem' })
  test.each([
    ['is no key', 'LT_CANARY', 'ES256', /^credential-failed: to sign with: no private key in PEM/],
    ['is of another type', pem('EdDSA'), 'ES256', /does not fit ES256: use an EC key/],
    ['is on another curve', pem('ES384'), 'ES256', /does not fit ES256: use an EC key on the curve/],
    ['is too short', weak, 'RS256', /does not fit RS256: use an RSA key of 2048 bits/],
  ] as const)('is told when it %s, for good, and not shown', async (_what, text, alg, message) => {
    const problem = await signJwt(new Secret(text), asking({ alg })).catch((error: unknown) => error)
    expect(problem).toMatchObject({ message: expect.stringMatching(message), retryAfter: undefined })
    expect(inspect(problem, { depth: 9, showHidden: true })).not.toContain(text.slice(30, 60) || text)
  })
})

test('neither a shared secret nor no signature is an algorithm', () => {
  for (const alg of ['none', 'HS256', 'HS512', 'rs256']) expect(signingAlgorithm.safeParse(alg).success).toBe(false)
})
