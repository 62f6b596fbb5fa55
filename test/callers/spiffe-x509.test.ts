import { describe, expect, test } from 'vitest'
import { callerSettings, kindOfCaller } from '../../src/callers/registry.ts'
import { parseSpiffeId } from '../../src/callers/spiffe-id.ts'
import type { FileReference } from '../../src/forms/network.ts'
import { makeCallerTools } from '../support/caller-tools.ts'
import {
  type Draft,
  ExtendedKeyUsage,
  KeyUsageFlags,
  makeOddRoot,
  makeSelfMade,
  type OddAuthority,
} from '../support/certificates.ts'
import { byCertificate, shownCertificate } from '../support/shown-certificate.ts'
import { type Callers, faultsAmong, faultsIn, knowing } from './knowing.ts'

const base = makeCallerTools()
const times = { from: base.clock.now() - 86_400_000, until: base.clock.now() + 86_400_000 }
const prod = await makeOddRoot(times)
const partner = await makeOddRoot(times)

/** Bundles by file name; a test may change them. */
function toolsWith(files: Record<string, string>) {
  const tools = makeCallerTools()
  return {
    ...tools,
    references: {
      secret: () => tools.references.secret(),
      file: ({ file }: FileReference) => files[file] ?? '',
    },
  }
}

const FILES = { 'prod.pem': prod.certPem, 'partner.pem': partner.certPem }
const bundles = { 'prod.test': { file: 'prod.pem' }, 'partner.test': { file: 'partner.pem' } }
const billing = { kind: 'spiffe', ids: ['spiffe://prod.test/billing'], bundles }
const everybody = { kind: 'spiffe', name: '{trustDomain}/{path}', bundles }

async function svid(by: OddAuthority, draft: Draft, sent = '') {
  const { cert } = await by.issue({ ...times, ...draft })
  return byCertificate(shownCertificate({ cert, with: sent }))
}

async function ask(callers: Callers, by: OddAuthority, draft: Draft, sent?: string) {
  return knowing(callers, toolsWith(FILES))(await svid(by, draft, sent))
}

test('an X.509-SVID is the caller of its SPIFFE ID, whatever the door itself trusts', async () => {
  expect(await ask({ billing }, prod, { uris: ['spiffe://prod.test/billing'] })).toEqual({
    name: 'billing',
    method: 'spiffe',
    details: { spiffeId: 'spiffe://prod.test/billing', svid: 'x509', certificate: expect.stringMatching(/^sha256:/) },
  })
})

test('other names beside the one URI are allowed, and mean nothing', async () => {
  const draft = { uris: ['spiffe://prod.test/billing'], dns: ['admin.test'] }
  expect(await ask({ billing }, prod, draft)).toMatchObject({ name: 'billing' })
})

test('a template makes a caller of each workload', async () => {
  expect(await ask({ everybody }, prod, { uris: ['spiffe://prod.test/ns/a/sa/web'] })).toMatchObject({
    name: 'prod.test/ns/a/sa/web',
  })
  expect(await ask({ everybody, billing }, prod, { uris: ['spiffe://prod.test/billing'] })).toMatchObject({
    name: 'billing',
  })
})

test('a trust domain speaks for itself alone, also where both are believed', async () => {
  const NOBODY = 'certificate-unknown: the X.509-SVID proves nobody: no authority that is trusted here has signed it'
  expect(await ask({ everybody }, partner, { uris: ['spiffe://partner.test/x'] })).toMatchObject({
    name: 'partner.test/x',
  })
  expect(await ask({ everybody }, partner, { uris: ['spiffe://prod.test/billing'] })).toBe(NOBODY)
  const below = await partner.under(times)
  expect(await ask({ everybody }, below, { uris: ['spiffe://prod.test/billing'] }, below.certPem)).toBe(NOBODY)
})

test('a trust domain that is not in the settings is nobody’s', async () => {
  expect(await ask({ everybody }, prod, { uris: ['spiffe://other.test/x'] })).toMatch(
    /its trust domain is not one of the settings$/,
  )
})

const LEAVES: readonly (readonly [string, Draft, string])[] = [
  ['two URIs', { uris: ['spiffe://prod.test/billing', 'spiffe://prod.test/admin'] }, 'it names more than one URI'],
  ['another URI beside it', { uris: ['spiffe://prod.test/billing', 'urn:x'] }, 'it names more than one URI'],
  ['another case', { uris: ['SPIFFE://prod.test/billing'] }, 'its URI is not the SPIFFE ID of a workload'],
  ['no path', { uris: ['spiffe://prod.test'] }, 'its URI is not the SPIFFE ID of a workload'],
  [
    'an authority',
    { isAuthority: true, keyUsage: KeyUsageFlags.digitalSignature },
    'it is an authority, which is nobody',
  ],
  ['a signing key', { keyUsage: KeyUsageFlags.keyCertSign }, 'its key usage lacks digitalSignature'],
  [
    'both uses',
    { keyUsage: KeyUsageFlags.keyCertSign | KeyUsageFlags.digitalSignature },
    'its key may sign certificates',
  ],
  ['no key usage', { keyUsage: 'none' }, 'its key usage lacks digitalSignature'],
  ['servers in mind', { purposes: [ExtendedKeyUsage.serverAuth] }, 'it is not one for clients'],
]
test.each(LEAVES)('a certificate with %s is no X.509-SVID', async (_what, draft, fault) => {
  expect(await ask({ billing }, prod, { uris: ['spiffe://prod.test/billing'], ...draft })).toBe(
    `certificate-unknown: the certificate is no X.509-SVID: ${fault}`,
  )
})

test.each([{ dns: ['prod.test'] }, { uris: ['https://prod.test/billing'] }])(
  'what claims no SPIFFE ID is for others (%j)',
  async (draft) => {
    const STRANGER = 'certificate-unknown: no caller is known by this certificate'
    expect(await ask({ billing }, prod, draft)).toBe(STRANGER)
  },
)

test('one that vouches for itself, and one of a leaf, have the right ID in vain', async () => {
  const uris = ['spiffe://prod.test/billing']
  const identify = knowing({ billing }, toolsWith(FILES))
  const { cert } = await makeSelfMade({ ...times, uris })
  expect(await identify(byCertificate(shownCertificate({ cert })))).toMatch(/no authority that is trusted here/)
  const leaf = await prod.under({ ...times, isAuthority: false, uris: ['spiffe://prod.test/web'] })
  expect(await ask({ billing }, leaf, { uris }, leaf.certPem)).toMatch(/^certificate-unknown/)
})

test('expiry of the leaf and of what is above it is looked at in every request', async () => {
  const tools = toolsWith(FILES)
  const below = await prod.under({ ...times, until: tools.clock.now() + 60_000 })
  const shown = await svid(below, { uris: ['spiffe://prod.test/billing'] }, below.certPem)
  const identify = knowing({ billing }, tools)
  expect(await identify(shown)).toMatchObject({ name: 'billing' })
  tools.clock.advance(60_001)
  expect(await identify(shown)).toMatch(/an authority above it has expired$/)
})

test('a bundle that changes is the only one from then on, also for a connection that is open', async () => {
  const files: Record<string, string> = { ...FILES }
  const next = await makeOddRoot(times)
  const [old, fresh] = await Promise.all([prod, next].map((by) => svid(by, { uris: ['spiffe://prod.test/billing'] })))
  const identify = knowing({ billing }, toolsWith(files))
  if (!old || !fresh) throw new Error('two were made')
  expect(await identify(old)).toMatchObject({ name: 'billing' })
  expect(await identify(fresh)).toMatch(/^certificate-unknown/)
  files['prod.pem'] = next.certPem
  expect(await identify(old)).toMatch(/^certificate-unknown/)
  expect(await identify(fresh)).toMatchObject({ name: 'billing' })
  files['prod.pem'] = ''
  expect(await identify(fresh)).toMatch(/has no authority for X.509-SVIDs$/)
})

test('a bundle as a JWK Set has its authorities in x5c; what is of another use is passed over', async () => {
  const x5c = (pem: string) => [pem.replace(/-----[A-Z ]+-----|\s/g, '')]
  const keys = [
    { use: 'jwt-svid', kty: 'EC', kid: 'a', crv: 'P-256', x: 'AA', y: 'AA' },
    { use: 'x509-svid', kty: 'EC', x5c: x5c(prod.certPem) },
    { use: 'x509-svid', kty: 'EC' },
    { use: 'other', x5c: x5c(partner.certPem) },
    { x5c: x5c(partner.certPem) },
  ]
  const files = { 'prod.pem': JSON.stringify({ spiffe_sequence: 1, keys }) }
  const identify = knowing({ billing }, toolsWith(files))
  expect(await identify(await svid(prod, { uris: ['spiffe://prod.test/billing'] }))).toMatchObject({ name: 'billing' })
  expect(await identify(await svid(partner, { uris: ['spiffe://prod.test/billing'] }))).toMatch(/^certificate-unknown/)
})

describe('SPIFFE IDs', () => {
  test.each(['spiffe://prod.test/a', 'spiffe://a_b-c.d/A.b_c-d/0', `spiffe://${'a'.repeat(255)}/x`])('%s', (text) => {
    expect(parseSpiffeId(text)?.text).toBe(text)
  })

  test.each([
    'spiffe://prod.test',
    'spiffe://prod.test/',
    'spiffe://prod.test/a/',
    'spiffe://prod.test//a',
    'spiffe://prod.test/./a',
    'spiffe://prod.test/a/..',
    'spiffe://prod.test/%61',
    'spiffe://prod.test/a?b',
    'spiffe://prod.test/a#b',
    'spiffe://prod.test:443/a',
    'spiffe://u@prod.test/a',
    'spiffe://PROD.test/a',
    'SPIFFE://prod.test/a',
    'spiffe:///a',
    'spiffe:/prod.test/a',
    'spiffe://prod.test/ä',
    'spiffe://prod.test/a\n',
    ' spiffe://prod.test/a',
    `spiffe://${'a'.repeat(256)}/x`,
    `spiffe://prod.test/${'a'.repeat(2048)}`,
  ])('not %j', (text) => {
    expect(parseSpiffeId(text)).toBeUndefined()
  })
})

test('grants may name what a template may make', () => {
  const callers = { everybody: callerSettings.parse(everybody) }
  expect(kindOfCaller('prod.test/ns/a', callers)).toBe('spiffe')
  for (const name of ['other.test/ns/a', 'prod.test', 'prod.test/', 'prod.test//a', 'prod.test/../a', 'PROD.test/a'])
    expect(kindOfCaller(name, callers)).toBeUndefined()
})

test.each([
  [{ bundles }, 'use exactly one of ids and name'],
  [{ ids: ['spiffe://prod.test/a'] }, 'name the trust bundles'],
  [{ ids: ['spiffe://prod.test'], bundles }, 'use a SPIFFE ID such as'],
  [{ name: '{path}/{trustDomain}', bundles }, 'use {path} once, as the last'],
  [{ name: '{trustDomain}-{path}', bundles }, 'put a "/" between'],
  [{ name: '{sub}', bundles }, 'use {trustDomain} or {path}'],
  [{ name: 'x/{path}', bundles: { 'PROD.test': { file: 'x' } } }, 'Invalid key in record'],
  [{ name: 'x/{path}', folder: { path: 'x', trustDomains: ['a/b'] } }, 'use the name of a trust domain'],
])('refuses %j in words', (settings, words) => {
  expect(faultsIn({ kind: 'spiffe', ...settings }).join()).toContain(words)
})

test('what contradicts itself is a mistake in the settings', () => {
  expect(faultsAmong({ one: billing, two: billing })).toEqual([
    'two: use an ID of its own: one has spiffe://prod.test/billing',
  ])
  expect(faultsAmong({ one: { ...billing, ids: ['spiffe://third.test/a'] } })).toEqual([
    'one: name the trust bundle that vouches for spiffe://third.test/a',
  ])
  expect(faultsAmong({ one: { ...everybody, name: 'x/{path}' } })).toEqual([
    'one: use {trustDomain} in name: two trust domains could make one name',
  ])
  expect(faultsAmong({ one: everybody, two: { ...everybody, name: 'y/{trustDomain}/{path}' } })).toEqual([
    'two: leave it to one, which names the same trust domain',
  ])
})
