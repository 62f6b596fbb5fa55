import { expect, test } from 'vitest'
import { MAX_FAILURES_PER_SECOND } from '../../src/callers/failures.ts'
import { callerSettings, kindOfCaller } from '../../src/callers/registry.ts'
import { Secret } from '../../src/core/secret.ts'
import { makeCallerTools } from '../support/caller-tools.ts'
import { type Draft, ExtendedKeyUsage, KeyUsageFlags, makeOddRoot, makeSelfMade } from '../support/certificates.ts'
import { byCertificate, shownCertificate } from '../support/shown-certificate.ts'
import { type Callers, faultsAmong, faultsIn, knowing } from './knowing.ts'

const KEY = 'the key of a test'
const tools = makeCallerTools({ secret: KEY })
const times = { from: tools.clock.now() - 86_400_000, until: tools.clock.now() + 86_400_000 }
const root = await makeOddRoot(times)

async function shown(draft: Draft) {
  const { cert } = await root.issue({ ...times, ...draft })
  return shownCertificate({ cert, clientCa: root.certPem })
}

async function ask(callers: Callers, draft: Draft) {
  return knowing(callers, tools)(byCertificate(await shown(draft)))
}

const mtls = (settings: object) => ({ kind: 'mtls', ...settings })

test.each([
  [{ dns: 'billing.test' }, { dns: ['billing.test'] }],
  [{ dns: 'billing.test' }, { dns: ['other.test', 'BILLING.test'] }],
  [{ uri: 'urn:example:batch' }, { uris: ['urn:example:batch'] }],
  [{ email: 'ops@example.test' }, { emails: ['ops@EXAMPLE.test'] }],
])('%j is known by %j', async (settings, draft) => {
  expect(await ask({ one: mtls(settings) }, draft)).toMatchObject({
    name: 'one',
    method: 'mtls',
    details: { certificate: expect.stringMatching(/^sha256:/), serial: expect.stringMatching(/^[0-9a-f]+$/) },
  })
})

const UNKNOWN = 'certificate-unknown: no caller is known by this certificate'

test.each([
  ['a wildcard', { dns: ['*.test'] }],
  ['a name above', { dns: ['test'] }],
  ['a name below', { dns: ['a.billing.test'] }],
  ['a final dot', { dns: ['billing.test.'] }],
  ['the name as another type', { uris: ['billing.test'], emails: ['billing.test'] }],
  ['the common name alone', { commonName: 'billing.test' }],
  ['the name within a name', { dns: ['x,DNS:billing.test'] }],
  ['another case before the @', { emails: ['OPS@example.test'] }],
])('%s is nobody', async (_what, draft) => {
  const callers = { one: mtls({ dns: 'billing.test' }), two: mtls({ email: 'ops@example.test' }) }
  expect(await ask(callers, draft)).toBe(UNKNOWN)
})

test('a fingerprint is one certificate, and beats every name in it', async () => {
  const certificate = await shown({ dns: ['billing.test'] })
  const identify = knowing(
    { name: mtls({ dns: 'billing.test' }), pinned: mtls({ fingerprint: certificate.leaf.fingerprint }) },
    tools,
  )
  expect(await identify(byCertificate(certificate))).toMatchObject({ name: 'pinned' })
  expect(await identify(byCertificate(await shown({ dns: ['billing.test'] })))).toMatchObject({ name: 'name' })
})

test('a certificate that names two callers is neither', async () => {
  const callers = { one: mtls({ dns: 'a.test' }), two: mtls({ uri: 'urn:b' }) }
  expect(await ask(callers, { dns: ['a.test'], uris: ['urn:b'] })).toBe(
    'certificate-unknown: the certificate names several callers: one, two',
  )
})

test.each([
  ['for servers', { purposes: [ExtendedKeyUsage.serverAuth] }],
  ['for mail', { purposes: [ExtendedKeyUsage.emailProtection] }],
  ['that does not say what it is for', { purposes: 'none' }],
] as const)('a certificate %s is not one to call with', async (_what, draft) => {
  expect(await ask({ one: mtls({ dns: 'a.test' }) }, { dns: ['a.test'], ...draft })).toBe(
    'certificate-unknown: the certificate is not one for clients',
  )
})

test('an authority is nobody', async () => {
  const flags = KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign
  const draft = { dns: ['a.test'], isAuthority: true, keyUsage: flags, purposes: [ExtendedKeyUsage.clientAuth] }
  expect(await ask({ one: mtls({ dns: 'a.test' }) }, draft)).toBe(
    'certificate-unknown: the certificate is an authority, which is nobody',
  )
})

test('one that vouches for itself is good where it is listed as it is', async () => {
  const { cert } = await makeSelfMade({ ...times, dns: ['a.test'] })
  const certificate = shownCertificate({ cert, clientCa: root.certPem + cert })
  const identify = knowing({ one: mtls({ fingerprint: certificate.leaf.fingerprint }) }, tools)
  expect(await identify(byCertificate(certificate))).toMatchObject({ name: 'one' })
})

test('one that vouches for itself has the right name in vain', async () => {
  const { cert } = await makeSelfMade({ ...times, dns: ['a.test'] })
  const identify = knowing({ one: mtls({ dns: 'a.test' }) }, tools)
  expect(await identify(byCertificate(shownCertificate({ cert, clientCa: root.certPem })))).toBe(
    'certificate-unknown: the certificate proves nobody: no authority that is trusted here has signed it',
  )
})

test('expiry is looked at in every request', async () => {
  const moving = makeCallerTools()
  const certificate = byCertificate(await shown({ dns: ['a.test'], until: moving.clock.now() + 60_000 }))
  const identify = knowing({ one: mtls({ dns: 'a.test' }) }, moving)
  expect(await identify(certificate)).toMatchObject({ name: 'one' })
  moving.clock.advance(60_001)
  expect(await identify(certificate)).toBe('certificate-unknown: the certificate proves nobody: it has expired')
  moving.clock.jumpWall(-120_000)
  expect(await identify(certificate)).toMatchObject({ name: 'one' })
  moving.clock.jumpWall(-2 * 86_400_000)
  expect(await identify(certificate)).toMatch(/is not valid yet$/)
})

test('a certificate that cannot be read is nobody, and says why', async () => {
  const identify = knowing({ one: mtls({ dns: 'a.test' }) }, tools)
  expect(await identify(byCertificate({ unreadable: 'odd' }))).toBe(
    'certificate-unknown: the certificate cannot be read: odd',
  )
})

test('a key that is shown beats the certificate, and a wrong one is not made good by it', async () => {
  const certificate = await shown({ dns: ['a.test'] })
  const identify = knowing({ one: mtls({ dns: 'a.test' }), keyed: { kind: 'api-key', key: { file: 'key' } } }, tools)
  const withKey = (key: string) => ({ certificate, keys: [{ key: new Secret(key) }], keysAre: 'certain' as const })
  expect(await identify(withKey(KEY))).toMatchObject({ name: 'keyed' })
  expect(await identify(withKey('wrong'))).toBe('caller-unknown: a wrong proof')
  expect(await identify({ ...withKey('placeholder'), keysAre: 'maybe' })).toMatchObject({ name: 'one' })
})

test('a bad certificate does not keep a key from proving its caller', async () => {
  const identify = knowing({ one: mtls({ dns: 'a.test' }), keyed: { kind: 'api-key', key: { file: 'key' } } }, tools)
  const certificate = { unreadable: 'odd' }
  expect(await identify({ certificate, keys: [{ key: new Secret(KEY) }], keysAre: 'certain' })).toMatchObject({
    name: 'keyed',
  })
})

const made = { any: mtls({ name: 'mesh/{dns}' }) }

test('a template makes a caller of each certificate with one name', async () => {
  expect(await ask(made, { dns: ['Web.prod.test'] })).toMatchObject({ name: 'mesh/web.prod.test', method: 'mtls' })
  expect(await ask({ any: mtls({ name: 'people/{email}' }) }, { emails: ['ada@example.TEST'] })).toMatchObject({
    name: 'people/ada@example.test',
  })
})

test.each([
  ['two names', { dns: ['a.test', 'b.test'] }],
  ['no name', { uris: ['urn:a'] }],
  ['a wildcard', { dns: ['*.a.test'] }],
  ['a slash', { dns: ['a/b'] }],
  ['dots', { dns: ['..'] }],
  ['an empty label', { dns: ['a..b'] }],
  ['more than a name may have', { dns: ['a'.repeat(300)] }],
])('a template makes nobody of %s', async (_what, draft) => {
  expect(await ask(made, draft)).toBe(UNKNOWN)
})

test('a name that looks like a caller of the settings stays below its template', async () => {
  const callers = { ...made, checkout: { kind: 'api-key', key: { file: 'key' } } }
  expect(await ask(callers, { dns: ['checkout'] })).toMatchObject({ name: 'mesh/checkout' })
  expect(faultsIn(mtls({ name: '{dns}' }))).toEqual([expect.stringContaining('put a "/" into it')])
})

test('what is named exactly beats what a template makes', async () => {
  expect(await ask({ ...made, one: mtls({ dns: 'a.test' }) }, { dns: ['a.test'] })).toMatchObject({ name: 'one' })
})

test('grants may name what a template may make, and nothing else', () => {
  const callers = { any: callerSettings.parse(made.any) }
  expect(['mesh/a.test', 'mesh/a'].map((name) => kindOfCaller(name, callers))).toEqual(['mtls', 'mtls'])
  const others = ['mesh/', 'mesh/A.test', 'mesh/a/b', 'other/a.test', 'a.test', 'mesh/../a', 'mesh/*.a']
  expect(others.filter((name) => kindOfCaller(name, callers))).toEqual([])
})

test.each([
  [{}, 'use exactly one of'],
  [{ dns: 'a.test', uri: 'urn:a' }, 'use exactly one of'],
  [{ dns: '*.a.test' }, 'use a plain host name'],
  [{ dns: 'A.test' }, 'use a plain host name'],
  [{ uri: 'spiffe://a.test/x' }, 'use a caller of kind spiffe'],
  [{ uri: 'no uri' }, 'use a URI'],
  [{ email: 'nobody' }, 'use a mailbox'],
  [{ fingerprint: 'AB:CD' }, 'use "sha256:"'],
  [{ name: 'mesh/{uri}' }, 'use {dns} or {email}'],
  [{ name: 'mesh/{dns}{email}' }, 'put a "/" between'],
  [{ name: 'mesh/x' }, 'use {dns} or {email}'],
  [{ name: 'mesh:{dns}/' }, 'use letters'],
])('refuses %j in words', (settings, words) => {
  expect(faultsIn(mtls(settings))).toEqual([expect.stringContaining(words)])
})

test('two callers of one name are a mistake in the settings', () => {
  expect(faultsAmong({ one: mtls({ dns: 'a.test' }), two: mtls({ dns: 'a.test' }) })).toEqual([
    'two: use another name or fingerprint: one has the same',
  ])
})

test('a certificate that is nobody’s is no way around the count of wrong keys', async () => {
  const identify = knowing({ one: mtls({ dns: 'a.test' }) }, makeCallerTools({ secret: KEY }))
  const certificate = await shown({ dns: ['b.test'] })
  const guess = { certificate, keys: [{ key: new Secret('a guess') }], keysAre: 'maybe', address: '192.0.2.7' } as const
  for (let at = 0; at < MAX_FAILURES_PER_SECOND; at++) expect(await identify(guess)).toBe(UNKNOWN)
  expect(await identify(guess)).toMatch(/^too-many-failures/)
})

test('a key beside a certificate may be meant for the upstream', async () => {
  const certificate = await shown({ dns: ['a.test'] })
  const evidence = { certificate, keys: [{ key: new Secret('of the upstream') }], keysAre: 'maybe' } as const
  const found = await knowing({ one: mtls({ dns: 'a.test' }) }, tools)(evidence)
  expect(found).toMatchObject({ name: 'one', method: 'mtls' })
  expect(found).not.toHaveProperty('keyIsProof')
})

test('a certificate makes no name that others may make', async () => {
  const token = { kind: 'jwt', issuer: 'https://issuer.test', audience: 'a', jwks: { file: 'j' }, name: 'mesh/{sub}' }
  expect(await ask({ any: mtls({ name: 'mesh/{dns}' }), job: token }, { dns: ['a.test'] })).toBe(
    'certificate-unknown: the name that its certificate makes for any may be somebody else’s',
  )
})
