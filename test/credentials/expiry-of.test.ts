import { SignJWT } from 'jose'
import { expect, test } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import { expiryOf } from '../../src/credentials/expiry-of.ts'

const key = crypto.getRandomValues(new Uint8Array(32))

test('a JWT says when it ends, in seconds', async () => {
  const token = await new SignJWT({ sub: 'crm' })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime(1_800_000_000)
    .sign(key)
  expect(expiryOf(new Secret(token))).toBe(1_800_000_000_000)
})

test('one that has ended says so as well', async () => {
  const token = await new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setExpirationTime(1).sign(key)
  expect(expiryOf(new Secret(token))).toBe(1000)
})

test.each(['an-opaque-key', 'a.b.c', '', `x.${Buffer.from('{"exp":"soon"}').toString('base64url')}.y`])(
  'whatever else a secret is, it does not say: %s',
  (text) => {
    expect(expiryOf(new Secret(text))).toBeUndefined()
  },
)
