import { inspect } from 'node:util'
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from 'jose'
import { expect, test } from 'vitest'
import { Secret, sha256 } from '../../src/core/secret.ts'
import { DpopKey, dpopSettings } from '../../src/oauth/dpop.ts'
import { HandClock } from '../support/hand-clock.ts'

const token = new Secret('AT_CANARY')
const request = { method: 'GET', url: 'https://api.test/v1/a%20b?key=1#x', token }

function keyOf(settings: unknown = true): DpopKey {
  return new DpopKey(dpopSettings.parse(settings), new HandClock())
}

/** As a server sees it, which has verified the signature by the key in the proof itself. */
async function read(proof: string) {
  const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, {
    typ: 'dpop+jwt',
    currentDate: new Date(0),
  })
  return { payload, protectedHeader }
}

test.each(['ES256', 'ES384', 'ES512', 'EdDSA'])(
  'a proof with %s verifies by the public key that it shows',
  async (alg) => {
    const { protectedHeader } = await read(keyOf({ alg }).prove(request))
    expect(protectedHeader).toMatchObject({ alg, typ: 'dpop+jwt' })
    expect(Object.keys(protectedHeader.jwk ?? {}).sort()).toEqual(
      alg === 'EdDSA' ? ['crv', 'kty', 'x'] : ['crv', 'kty', 'x', 'y'],
    )
  },
)

test('a proof says which request and which token it is for, and neither the query nor the token', async () => {
  const proof = keyOf().prove(request)
  const { payload } = await read(proof)
  expect(payload).toEqual({
    jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
    htm: 'GET',
    htu: 'https://api.test/v1/a%20b',
    iat: Math.floor(new HandClock().now() / 1000),
    ath: sha256('AT_CANARY').toString('base64url'),
  })
})

test('each proof has a jti of its own, and all of a key have the same key', async () => {
  const key = keyOf()
  const proofs = await Promise.all([1, 2, 3].map(() => read(key.prove(request))))
  expect(new Set(proofs.map(({ payload }) => payload.jti)).size).toBe(3)
  const prints = proofs.map(({ protectedHeader }) => calculateJwkThumbprint(protectedHeader.jwk ?? {}))
  expect(new Set(await Promise.all(prints)).size).toBe(1)
  const { protectedHeader } = await read(keyOf().prove(request))
  expect(await calculateJwkThumbprint(protectedHeader.jwk ?? {})).not.toBe(await prints[0])
})

test('the latest nonce of an origin is in the proofs for it, and in no others', async () => {
  const key = keyOf()
  const nonceIn = async (url: string) => (await read(key.prove({ ...request, url }))).payload['nonce']
  key.learn('https://api.test/x', 'n-1')
  key.learn('https://api.test/y', 'n-2')
  expect([await nonceIn('https://api.test/v1'), await nonceIn('https://api.test:8443/v1')]).toEqual(['n-2', undefined])
})

test.each([undefined, '', 'a b', 'a"b', 'a\\b', 'a\r\nb', 'ü', 'x'.repeat(1025)])('%j is no nonce', (nonce) => {
  const key = keyOf()
  key.learn('https://api.test', nonce)
  expect(key.nonceFor('https://api.test')).toBe(undefined)
})

test('no more nonces are kept than there is room for, and the latest stay', () => {
  const key = keyOf()
  for (let at = 0; at < 1_000; at++) key.learn(`https://${at}.test`, 'n')
  expect([key.nonceFor('https://0.test'), key.nonceFor('https://999.test')]).toEqual([undefined, 'n'])
})

test.each([false, 'ES256', { alg: 'HS256' }, { alg: 'none' }, {}, { alg: 'ES256', key: 'x' }])(
  '%j cannot be set',
  (settings) => {
    expect(dpopSettings.safeParse(settings).success).toBe(false)
  },
)

test('a key prints nothing of what it signs with', () => {
  expect(inspect(keyOf(), { depth: 20, showHidden: true }) + JSON.stringify(keyOf())).not.toMatch(/"d"|PRIVATE/)
})
