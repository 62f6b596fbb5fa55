import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { type AuthorityTerms, ephemeralAuthority } from '../../src/ca/authority.ts'
import { foundRoot } from '../../src/ca/root.ts'
import { hasTool, pathOf } from '../support/debian.ts'
import { HandClock } from '../support/hand-clock.ts'
import { presentedBy } from './presented.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const LONG = `${'l'.repeat(63)}.files.test`

const withOpenssl = test.skipIf(!hasTool('openssl'))

withOpenssl('F07: the authority signs servers for its hosts, and nothing else', async () => {
  const { certificatePem } = await ephemeralAuthority(terms())
  const text = inWords(certificatePem)
  expect(text).toMatch(/Subject: CN = Sallyport local CA [0-9a-f]{8}\n/)
  expect(text).toContain('Basic Constraints: critical CA:TRUE, pathlen:0 X509v3')
  expect(text).toContain('Key Usage: critical Certificate Sign X509v3')
  expect(text).toContain(
    'Name Constraints: critical Permitted: DNS:api.test DNS:files.test IP:10.0.0.7/255.255.255.255',
  )
  expect(text).toContain('Excluded: IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0 X509v3')
  expect(text).toContain('Subject Key Identifier')
  expect(text).toContain('NIST CURVE: P-256')
})

test('the authority is valid for 397 days, from an hour ago', async () => {
  const clock = new HandClock()
  const authority = await ephemeralAuthority(terms(clock))
  const certificate = new X509Certificate(authority.certificatePem)
  expect(certificate.validFromDate.getTime()).toBe(clock.now() - HOUR_MS)
  expect(certificate.validToDate.getTime()).toBe(clock.now() + 397 * DAY_MS)
  expect(authority.expiresAt).toBe(clock.now() + 397 * DAY_MS)
})

test('two authorities have two names', async () => {
  const [one, other] = await Promise.all([foundRoot(terms()), foundRoot(terms())])
  expect(new X509Certificate(one.cert).subject).not.toBe(new X509Certificate(other.cert).subject)
})

withOpenssl('F07: a leaf is a server with one name, under the key of no authority', async () => {
  const authority = await ephemeralAuthority(terms())
  const leaf = await presentedBy(await authority.contextFor('api.test'))
  const root = new X509Certificate(authority.certificatePem)
  const text = inWords(leaf.toString())
  expect(text).toContain('Subject: CN = api.test\n')
  expect(text).toContain('Subject Alternative Name: DNS:api.test X509v3')
  expect(text).toContain('Basic Constraints: critical CA:FALSE X509v3')
  expect(text).toContain('Key Usage: critical Digital Signature X509v3')
  expect(text).toContain('Extended Key Usage: TLS Web Server Authentication X509v3')
  expect(text).toContain(
    `Authority Key Identifier: ${/Subject Key Identifier: (\S+)/.exec(inWords(root.toString()))?.[1]}`,
  )
  expect(leaf.publicKey.equals(root.publicKey)).toBe(false)
  expect(leaf.verify(root.publicKey)).toBe(true)
})

test('F07: a leaf lasts a day, from an hour ago', async () => {
  const clock = new HandClock()
  const leaf = await presentedBy(await (await ephemeralAuthority(terms(clock))).contextFor('api.test'))
  expect(leaf.validFromDate.getTime()).toBe(clock.now() - HOUR_MS)
  expect(leaf.validToDate.getTime()).toBe(clock.now() + DAY_MS)
})

test('F07: every serial is another one, positive, of 16 bytes', async () => {
  const authority = await ephemeralAuthority(terms())
  const hosts = Array.from({ length: 20 }, (_, n) => `h${n}.files.test`)
  const serials = await Promise.all(
    hosts.map(async (host) => (await presentedBy(await authority.contextFor(host))).serialNumber),
  )
  expect(new Set(serials).size).toBe(20)
  for (const serial of serials) expect(serial).toMatch(/^4[0-9A-F]{31}$/)
})

test.each([
  [LONG, `DNS:${LONG}`],
  ['10.0.0.7', 'IP Address:10.0.0.7'],
])('a host that fits no common name stands in a critical extension alone: %s', async (host, name) => {
  const authority = await ephemeralAuthority(terms())
  const leaf = await presentedBy(await authority.contextFor(host))
  // Node has nothing to say of an empty subject, and its type does not know that.
  expect(leaf.subject ?? '').toBe('')
  expect(leaf.subjectAltName).toBe(name)
  expect(leaf.raw.includes(Buffer.from('0603551d110101ff', 'hex'))).toBe(true)
})

const FOREIGN = ['evil.test', 'files.test', 'xapi.test', 'a.api.test', 'API.test', 'api.test.', '10.0.0.8', '[::2]', '']

test.each(FOREIGN)('refuses to vouch for what is not intercepted: "%s"', async (host) => {
  const authority = await ephemeralAuthority(terms())
  await expect(authority.contextFor(host)).rejects.toMatchObject({ code: 'internal-error' })
})

test('an address is one host in all its spellings', async () => {
  const authority = await ephemeralAuthority({ ...terms(), hosts: ['[0:0::1]'] })
  const context = await authority.contextFor('[::1]')
  expect(await authority.contextFor('[0:0:0:0:0:0:0:1]')).toBe(context)
  expect((await presentedBy(context)).subjectAltName).toBe('IP Address:0:0:0:0:0:0:0:1')
})

test('a leaf serves until its last hour, and is renewed then', async () => {
  const clock = new HandClock()
  const authority = await ephemeralAuthority(terms(clock))
  const first = await authority.contextFor('api.test')
  clock.advance(23 * HOUR_MS - 1)
  expect(await authority.contextFor('api.test')).toBe(first)
  clock.advance(1)
  const second = await authority.contextFor('api.test')
  expect(second).not.toBe(first)
  expect((await presentedBy(second)).validToDate.getTime()).toBe(clock.now() + DAY_MS)
})

test('a leaf that starts in the future, because the clock was set back, is made anew', async () => {
  const clock = new HandClock()
  const authority = await ephemeralAuthority(terms(clock))
  const first = await authority.contextFor('api.test')
  clock.jumpWall(-2 * HOUR_MS)
  expect(await authority.contextFor('api.test')).not.toBe(first)
})

test('no leaf outlives the authority, and none is made after it', async () => {
  const clock = new HandClock()
  const authority = await ephemeralAuthority(terms(clock))
  clock.advance(397 * DAY_MS - 1_000)
  const last = await authority.contextFor('api.test')
  expect((await presentedBy(last)).validToDate.getTime()).toBe(authority.expiresAt)
  expect(await authority.contextFor('api.test')).toBe(last)
  clock.advance(1_000)
  await expect(authority.contextFor('api.test')).rejects.toThrow('run `sallyport ca rotate`')
})

test('the private key of a leaf is nowhere to be found on the authority', async () => {
  const authority = await ephemeralAuthority(terms())
  expect(Object.keys(authority).toSorted()).toEqual(['certificatePem', 'contextFor', 'expiresAt'])
})

function terms(clock: { now(): number } = { now: Date.now }): AuthorityTerms {
  return { hosts: ['api.test', '*.files.test', '10.0.0.7'], now: () => clock.now() }
}

/** What OpenSSL reads in a certificate, each of its extensions on one line. */
function inWords(pem: string): string {
  const text = execFileSync(pathOf('openssl'), ['x509', '-noout', '-text'], { input: pem, encoding: 'utf8' })
  const at = text.indexOf('X509v3 extensions')
  return text.slice(0, at) + text.slice(at).replace(/\s+/g, ' ')
}
