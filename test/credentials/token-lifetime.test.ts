import { expect, test } from 'vitest'
import { lifetimeOf } from '../../src/credentials/token-lifetime.ts'

const SENT_AT = Date.UTC(2026, 10, 22)
const limits = { defaultLifetimeMs: 300_000, maxLifetimeMs: 86_400_000 }

function jwt(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'none' })}.${part(claims)}.c2ln`
}

function lifetime(accessToken: string, expiresIn?: number): number {
  return lifetimeOf({ accessToken, expiresIn, sentAt: SENT_AT }, limits)
}

test('is what the issuer said', () => {
  expect(lifetime('opaque', 3600)).toBe(3_600_000)
})

test('J04: is the default when nobody tells', () => {
  expect(lifetime('opaque')).toBe(300_000)
})

test('J05: is never longer than the settings allow', () => {
  expect(lifetime('opaque', 1e9)).toBe(86_400_000)
  expect(lifetime(jwt({ exp: 1e12 }))).toBe(86_400_000)
})

test('comes from the token itself when the answer does not tell', () => {
  expect(lifetime(jwt({ exp: SENT_AT / 1000 + 600 }))).toBe(600_000)
})

test('is shortened by the token itself, never prolonged', () => {
  expect(lifetime(jwt({ exp: SENT_AT / 1000 + 600 }), 3600)).toBe(600_000)
  expect(lifetime(jwt({ exp: SENT_AT / 1000 + 7200 }), 3600)).toBe(3_600_000)
})

test('J06: is over for a token that had expired at issue', () => {
  expect(lifetime(jwt({ exp: SENT_AT / 1000 - 1 }), 3600)).toBe(-1_000)
})

test.each(['a.b.c', 'a.b', '..', jwt({ exp: '600' }), jwt({}), 'a.W10.c'])('takes no hint from %s', (token) => {
  expect(lifetime(token)).toBe(300_000)
})
