import { expect, test } from 'vitest'
import { faultOfIssuerUrl } from '../../src/forms/issuer-url.ts'

test.each([
  'https://login.test/oauth2/token',
  'https://login.test',
  'https://login.test:8443/token?p=policy',
  'https://login.test:443/token',
  'https://127.0.0.1:8443/token',
  'https://[::1]:8443/token',
])('takes %s', (url) => {
  expect(faultOfIssuerUrl(url, { plaintext: false })).toBeUndefined()
})

test.each([
  'login.test/token',
  'ftp://login.test/token',
  'https://user@login.test/token',
  'https://user:secret@login.test/token',
  'https://login.test/token#',
  'https://login.test/token#x',
  'https://Login.test/token',
  'https://login.test./token',
  'https://0x7f.1/token',
  'https://127.1/token',
  'https://log\tin.test/token',
  'https://①②⑦.⓪.⓪.①/token',
  'https:login.test/token',
  'https:\\\\login.test\\token',
  '',
])('refuses %j', (url) => {
  expect(faultOfIssuerUrl(url, { plaintext: false })).toMatch(/^use /)
})

test('J14: takes http:// only where the unsafe setting says so', () => {
  expect(faultOfIssuerUrl('http://login.test/token', { plaintext: false })).toMatch(/https/)
  expect(faultOfIssuerUrl('http://login.test/token', { plaintext: true })).toBeUndefined()
})

test('names the unsafe setting, where there is one', () => {
  const named = 'for a test on one machine, set unsafeAllowPlaintextIssuer: true'
  expect(faultOfIssuerUrl('http://login.test/token', { plaintext: false })).toContain(named)
  const never = faultOfIssuerUrl('http://login.test/token', { plaintext: 'never' })
  expect(never).toBe('use https://: the client secret would travel in the clear')
})

test('repeats no password of the URL', () => {
  expect(faultOfIssuerUrl('https://user:hunter2@login.test/', { plaintext: false })).not.toContain('hunter2')
})
