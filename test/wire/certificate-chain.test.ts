import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { encode } from '../../src/ca/der.ts'
import type { Certificate } from '../../src/core/certificate.ts'
import { certificatesIn, readCertificate } from '../../src/wire/certificate.ts'
import { type Claim, verifyChain } from '../../src/wire/certificate-chain.ts'
import { KeptVerdict } from '../../src/wire/certificate-verdict.ts'
import {
  type Draft,
  ExtendedKeyUsage,
  Extension,
  KeyUsageFlags,
  makeOddRoot,
  makeSelfMade,
} from '../support/certificates.ts'
import { hasTool, pathOf } from '../support/debian.ts'
import { processorMs } from '../support/own-time.ts'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const NOW = Date.now()

const root = await makeOddRoot()
const stranger = await makeOddRoot()

function read(pem: string): Certificate {
  return readCertificate(new X509Certificate(pem))
}

function faultOf(leaf: string, rest: Partial<Claim> & { readonly sent?: string } = {}): string | undefined {
  const { sent = '', ...claim } = rest
  return verifyChain({
    leaf: read(leaf),
    others: certificatesIn(sent),
    anchors: certificatesIn(root.certPem),
    at: NOW,
    ...claim,
  }).fault
}

test('a certificate of an authority is vouched for until the first one on the way expires', async () => {
  const until = NOW - (NOW % 1000) + HOUR_MS
  const below = await root.under({ until })
  const { cert } = await below.issue({})
  const anchors = certificatesIn(root.certPem)
  const verdict = verifyChain({ leaf: read(cert), others: certificatesIn(below.certPem), anchors, at: NOW })
  expect(verdict).toEqual({ until })
  expect(faultOf(cert, { sent: below.certPem, at: until + 1 })).toBe('an authority above it has expired')
})

test('what was sent with it may be in any order, and have others among it', async () => {
  const one = await root.under()
  const two = await one.under()
  const { cert } = await two.issue({})
  expect(faultOf(cert, { sent: stranger.certPem + one.certPem + two.certPem })).toBeUndefined()
  expect(faultOf(cert, { sent: one.certPem })).toBe('no authority that is trusted here has signed it')
})

test('the authorities of another are of no use, also under the very same name', async () => {
  const namesake = await makeOddRoot({ commonName: new X509Certificate(root.certPem).subject.slice('CN='.length) })
  const { cert } = await namesake.issue({})
  expect(faultOf(cert)).toBe('no authority that is trusted here has signed it')
  expect(faultOf(cert, { sent: namesake.certPem })).toBe('no authority that is trusted here has signed it')
})

test('one that vouches for itself is vouched for by nobody', async () => {
  const { cert } = await makeSelfMade({ dns: ['a.test'] })
  expect(faultOf(cert)).toBe('no authority that is trusted here has signed it')
})

const LEAVES: readonly (readonly [string, Draft, string])[] = [
  ['has expired', { until: NOW - HOUR_MS }, 'it has expired'],
  ['is not valid yet', { from: NOW + HOUR_MS, until: NOW + DAY_MS }, 'it is not valid yet'],
  [
    'has a critical extension that nobody knows',
    { extensions: [new Extension('1.2.3.4', true, new Uint8Array([5, 0]))] },
    'it has a critical extension that is not understood',
  ],
  ['is signed with SHA-1', { hash: 'SHA-1' }, 'no authority that is trusted here has signed it'],
]
test.each(LEAVES)('refuses a leaf that %s', async (_what, draft, fault) => {
  const { cert } = await root.issue(draft)
  expect(faultOf(cert)).toBe(fault)
})

test('an extension that nobody knows is passed over where it is not critical', async () => {
  const { cert } = await root.issue({ extensions: [new Extension('1.2.3.4', false, new Uint8Array([5, 0]))] })
  expect(faultOf(cert)).toBeUndefined()
})

const BETWEEN: readonly (readonly [string, Draft, string])[] = [
  [
    'is no authority',
    { isAuthority: false, keyUsage: KeyUsageFlags.keyCertSign },
    'an authority above it is no authority',
  ],
  [
    'may not sign certificates',
    { keyUsage: KeyUsageFlags.digitalSignature },
    'no authority that is trusted here has signed it',
  ],
  ['has expired', { until: NOW - HOUR_MS }, 'an authority above it has expired'],
  ['is not valid yet', { from: NOW + HOUR_MS, until: NOW + DAY_MS }, 'an authority above it is not valid yet'],
  [
    'signs servers alone',
    { purposes: [ExtendedKeyUsage.serverAuth] },
    'an authority above it may not sign for clients',
  ],
]
test.each(BETWEEN)('refuses a leaf below one that %s', async (_what, draft, fault) => {
  const below = await root.under(draft)
  const { cert } = await below.issue({})
  expect(faultOf(cert, { sent: below.certPem })).toBe(fault)
})

test('an authority that may sign leaves alone signs no authority', async () => {
  const one = await root.under({ pathLength: 0 })
  const two = await one.under()
  const [direct, deep] = [await one.issue({}), await two.issue({})]
  expect(faultOf(direct.cert, { sent: one.certPem })).toBeUndefined()
  expect(faultOf(deep.cert, { sent: one.certPem + two.certPem })).toBe(
    'an authority above it may not sign that far down',
  )
})

test('a leaf that is issued by a leaf is nobody’s', async () => {
  const fake = await root.under({ isAuthority: false })
  const { cert } = await fake.issue({ dns: ['admin.test'] })
  expect(faultOf(cert, { sent: fake.certPem })).toBeTypeOf('string')
})

test('one that expired does not hide another that vouches for the same key', async () => {
  const old = await makeOddRoot({ commonName: 'twins', until: NOW - HOUR_MS })
  const { cert } = await root.issue({})
  expect(faultOf(cert, { anchors: certificatesIn(old.certPem + root.certPem) })).toBeUndefined()
})

test('one with a kind of key that nobody knows is passed over', async () => {
  const below = await root.under()
  const { cert } = await below.issue({})
  const der = new X509Certificate(below.certPem).raw
  const at = der.indexOf(Buffer.from('2a8648ce3d0201', 'hex'))
  der[at + 6] = 0x09
  const odd = `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`
  expect(faultOf(cert, { sent: odd })).toBe('no authority that is trusted here has signed it')
  expect(faultOf(odd)).toBeTypeOf('string')
})

test.skipIf(!hasTool('openssl')).each([
  ['RSA with 2048 bits', ['-newkey', 'rsa:2048'], [], undefined],
  ['RSA with 1024 bits', ['-newkey', 'rsa:1024'], [], 'it has an RSA key below 2048 bits'],
  ['Ed25519', ['-newkey', 'ed25519'], [], undefined],
  ['P-384', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384'], [], undefined],
  ['SHA-1', ['-newkey', 'rsa:2048'], ['-sha1'], 'no authority that is trusted here has signed it'],
])('what OpenSSL issues by RSA, to %s', async (_what, newKey, signing, fault) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-chain-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const openssl = (...args: readonly string[]) =>
    execFileSync(pathOf('openssl'), args, { cwd: folder, stdio: 'ignore' })
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=ca')
  openssl('req', ...newKey, '-nodes', '-keyout', 'leaf.key', '-out', 'leaf.csr', '-subj', '/CN=leaf')
  openssl('x509', '-req', '-in', 'leaf.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-out', 'leaf.pem', ...signing)
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  expect(faultOf(read('leaf.pem'), { anchors: certificatesIn(read('ca.pem')), at: Date.now() + 1000 })).toBe(fault)
})

test('a heap of look-alikes is not verified to its end', async () => {
  const name = { commonName: 'look-alike' }
  const alike = await Promise.all(Array.from({ length: 30 }, () => stranger.under(name)))
  const { cert } = await (await stranger.under(name)).issue({})
  const sent = alike.map(({ certPem }) => certPem).join('')
  const told = 'no authority that is trusted here has signed it'
  expect(processorMs(() => expect(faultOf(cert, { sent })).toBe(told))).toBeLessThan(500)
})

describe('name constraints', () => {
  const DNS = 0x82
  const URI = 0x86
  const subtree = (tag: number, base: string) => encode(0x30, [encode(tag, [Buffer.from(base)])])
  const constraints = (permitted: readonly Buffer[], excluded: readonly Buffer[] = []) => ({
    extensions: [
      new Extension(
        '2.5.29.30',
        true,
        encode(0x30, [
          ...(permitted.length === 0 ? [] : [encode(0xa0, permitted)]),
          ...(excluded.length === 0 ? [] : [encode(0xa1, excluded)]),
        ]),
      ),
    ],
  })
  const OUTSIDE = 'a name in it is outside the name constraints of its authority'

  test.each([
    [DNS, 'a.test', { dns: ['a.test', 'b.a.test'] }, undefined],
    [DNS, 'a.test', { dns: ['A.TEST'] }, undefined],
    [DNS, 'a.test', { dns: ['nota.test'] }, OUTSIDE],
    [DNS, 'a.test', { dns: ['a.test', 'c.test'] }, OUTSIDE],
    [DNS, 'a.test', { uris: ['spiffe://c/x'] }, undefined],
    [URI, 'prod.test', { uris: ['spiffe://prod.test/x'] }, undefined],
    [URI, 'prod.test', { uris: ['spiffe://a.prod.test/x'] }, OUTSIDE],
    [URI, '.prod.test', { uris: ['spiffe://a.prod.test/x'] }, undefined],
    [URI, 'prod.test', { uris: ['urn:no:authority'] }, OUTSIDE],
  ] as const)('permit %i %s: %j', async (tag, base, draft, fault) => {
    const below = await root.under(constraints([subtree(tag, base)]))
    const { cert } = await below.issue(draft)
    expect(faultOf(cert, { sent: below.certPem })).toBe(fault)
  })

  test('exclude what is below them', async () => {
    const below = await root.under(constraints([], [subtree(DNS, 'a.test')]))
    const [bad, good] = [await below.issue({ dns: ['x.a.test'] }), await below.issue({ dns: ['b.test'] })]
    expect(faultOf(bad.cert, { sent: below.certPem })).toBe(OUTSIDE)
    expect(faultOf(good.cert, { sent: below.certPem })).toBeUndefined()
  })

  test('of a type that is not understood vouch for nobody', async () => {
    const below = await root.under(constraints([subtree(0x87, '\x7f\0\0\0\xff\0\0\0')]))
    const { cert } = await below.issue({ dns: ['a.test'] })
    expect(faultOf(cert, { sent: below.certPem })).toMatch(/name constraints of a kind that is not understood/)
  })
})

test('a verdict is kept while it holds, and judged anew when the authorities change, a day passes or the clock goes back', async () => {
  const { cert } = await root.issue({ until: NOW + HOUR_MS })
  const verdict = new KeptVerdict(read(cert), [])
  const [ours, others] = [certificatesIn(root.certPem), certificatesIn(stranger.certPem)]
  expect(verdict.faultAt(ours, NOW)).toBeUndefined()
  expect(verdict.faultAt(others, NOW)).toBe('no authority that is trusted here has signed it')
  expect(verdict.faultAt(ours, NOW)).toBeUndefined()
  expect(verdict.faultAt(ours, NOW + 2 * HOUR_MS)).toBe('it has expired')
  expect(verdict.faultAt(ours, NOW - 2 * DAY_MS)).toBe('it is not valid yet')
  expect(verdict.faultAt(ours, NOW)).toBeUndefined()
})
