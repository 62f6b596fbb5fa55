import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { encode } from '../../src/ca/der.ts'
import { certificatesIn, PURPOSES, readCertificate } from '../../src/wire/certificate.ts'
import { readDer, readOid } from '../../src/wire/certificate-der.ts'
import { KeyUsageFlags, makeOddRoot } from '../support/certificates.ts'
import { hasTool, pathOf } from '../support/debian.ts'

const root = await makeOddRoot()

function read(pem: string) {
  return readCertificate(new X509Certificate(pem))
}

/** Alternative names of any bytes: tag and content. */
function names(...all: readonly (readonly [number, Buffer | string])[]): Uint8Array<ArrayBuffer> {
  return encode(
    0x30,
    all.map(([tag, content]) => encode(tag, [Buffer.from(content as string, 'latin1')])),
  )
}

test('reads names by type, what the key is for, and how long it is good', async () => {
  const until = Date.UTC(2051, 0, 1)
  const { cert } = await root.issue({
    uris: ['spiffe://a.test/x', 'urn:y'],
    dns: ['A.test', '*.b.test'],
    emails: ['Ops@a.test'],
    until,
  })
  expect(read(cert)).toMatchObject({
    uris: ['spiffe://a.test/x', 'urn:y'],
    dnsNames: ['A.test', '*.b.test'],
    emails: ['Ops@a.test'],
    notAfter: until,
    authority: undefined,
    keyUses: ['digitalSignature'],
    extendedKeyUses: [PURPOSES.clientAuth, PURPOSES.serverAuth],
    notUnderstood: [],
    fingerprint: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
  })
})

test.skipIf(!hasTool('openssl'))('says of itself what OpenSSL says', async () => {
  const { cert } = await root.issue({ dns: ['a.test'] })
  const said = execFileSync(pathOf('openssl'), ['x509', '-noout', '-fingerprint', '-sha256'], { input: cert })
  expect(read(cert).fingerprint).toBe(`sha256:${String(said).split('=')[1]?.trim().replaceAll(':', '').toLowerCase()}`)
})

test('knows an authority and how far down it may sign', async () => {
  expect(read(root.certPem).authority).toEqual({ maxBelow: Number.POSITIVE_INFINITY })
  expect(read((await root.under({ pathLength: 2 })).certPem).authority).toEqual({ maxBelow: 2 })
  const flags = KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign
  expect(read((await root.under({ keyUsage: flags })).certPem).keyUses).toEqual(['keyCertSign', 'cRLSign'])
})

test('names that look like several are one name (CVE-2021-44531, CVE-2021-44532)', async () => {
  const odd = 'a.test,URI:spiffe://a.test/admin'
  const { cert } = await root.issue({ names: names([0x82, odd]) })
  expect(read(cert)).toMatchObject({ dnsNames: [odd], uris: [] })
})

test.each([
  ['a NUL', [0x82, 'admin.test\0.evil.test']],
  ['a line break', [0x86, 'spiffe://a.test/x\n']],
  ['a blank', [0x82, 'a.test b.test']],
  ['bytes beyond ASCII', [0x81, 'é@a.test']],
  ['nothing', [0x82, '']],
] as const)('a name with %s in it makes the whole certificate unreadable', async (_what, name) => {
  const { cert } = await root.issue({ names: names([0x82, 'fine.test'], name) })
  expect(() => read(cert)).toThrow('an alternative name that is not printable ASCII')
})

test('names of other types are passed over: addresses, other names', async () => {
  const { cert } = await root.issue({ names: names([0x87, '\x7f\0\0\x01'], [0x82, 'a.test'], [0xa0, 'x']) })
  expect(read(cert)).toMatchObject({ dnsNames: ['a.test'], uris: [] })
})

test('reads all certificates of a PEM text, whatever stands between them', async () => {
  const { cert, key } = await root.issue({})
  expect(certificatesIn(`# ours\n${key}${cert}\n# the root\n${root.certPem}`)).toHaveLength(2)
  expect(() => certificatesIn(cert.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA'))).toThrow(
    'certificate 1 cannot be read',
  )
})

test.each([
  ['an indefinite length', '3080020100'],
  ['a length that is longer than it has to be', '30810100'],
  ['a length with a leading zero', `308200ff${'00'.repeat(255)}`],
  ['a length beyond its bytes', '3003020100'.slice(0, 8)],
  ['a length of five bytes', '30850000000001'],
  ['a tag of many bytes', '1f8101'],
  ['half an element', '30'],
])('refuses DER with %s', (_what, hex) => {
  expect(() => readDer(Buffer.from(hex, 'hex'))).toThrow()
})

test.each([
  ['551d11', '2.5.29.17'],
  ['2b06010505070302', '1.3.6.1.5.5.7.3.2'],
  ['883703', '2.999.3'],
])('reads the object identifier %s', (hex, oid) => {
  expect(readOid(Buffer.from(hex, 'hex'))).toBe(oid)
})

test.each(['', '80', '5580', '55801d'])('refuses the object identifier "%s"', (hex) => {
  expect(() => readOid(Buffer.from(hex, 'hex'))).toThrow()
})
