import { afterAll, beforeAll, expect, test } from 'vitest'
import { encode } from '../../src/ca/der.ts'
import { authority, CREDENTIAL, doorOf, stopCrm } from '../stories/crm.ts'
import { makeSigners, openTls, showing, tlsDirectory, tlsSettings } from '../stories/tls-site.ts'
import {
  type Draft,
  ExtendedKeyUsage,
  type Identity,
  KeyUsageFlags,
  makeOddRoot,
  makeSelfMade,
} from '../support/certificates.ts'
import { WHOLE_ANSWER } from '../support/raw-client.ts'
import { eventually, type Running, startSallyport } from '../support/sallyport.ts'
import { talk } from '../support/tunnel.ts'
import { OK, type RawUpstream, startUpstream } from '../support/upstream.ts'

const HOUR_MS = 3_600_000
const signers = await makeSigners()
const WEB = 'spiffe://prod.test/ns/a/sa/web'
const asWeb = { uris: [WEB] }
const asPayments = { dns: ['payments.test'] }

let upstream: RawUpstream
let running: Running

beforeAll(async () => {
  upstream = await startUpstream(() => OK, await authority.issue(['api.crm.test']))
  const everybody = { kind: 'mtls', name: 'made/{dns}' }
  const bundles = { 'prod.test': { file: 'prod.pem' }, 'partner.test': { file: 'partner.pem' } }
  const callers = {
    checkout: { kind: 'api-key', key: { file: 'checkout' } },
    payments: { kind: 'mtls', dns: 'payments.test' },
    everybody,
    mesh: { kind: 'spiffe', name: '{trustDomain}/{path}', bundles },
  }
  running = await startSallyport(await tlsDirectory(signers), tlsSettings(upstream.port, { callers }))
})

afterAll(async () => {
  await stopCrm(running)
  await upstream?.close()
})

/** DER of names, of any bytes. */
function names(...all: readonly (readonly [number, string])[]): Uint8Array<ArrayBuffer> {
  return encode(
    0x30,
    all.map(([tag, content]) => encode(tag, [Buffer.from(content, 'latin1')])),
  )
}

/** A draft that is signed by somebody, with what is sent beside it. */
type Forgery = () => Promise<{ readonly identity: Identity; readonly sent?: string }>

const by = (signer: keyof typeof signers, draft: Draft): Forgery => {
  return async () => ({ identity: await signers[signer].issue(draft) })
}
const below = (signer: keyof typeof signers, authorityDraft: Draft, draft: Draft): Forgery => {
  return async () => {
    const between = await signers[signer].under(authorityDraft)
    return { identity: await between.issue(draft), sent: between.certPem }
  }
}

const FORGERIES: Readonly<Record<string, Forgery>> = {
  'an SVID of another trust domain that is believed': by('partner', asWeb),
  'an SVID of the authorities of the door': by('clients', asWeb),
  'a name of the door’s clients by a trust domain': by('prod', asPayments),
  'two URIs, the right one first': by('prod', { uris: [WEB, 'spiffe://prod.test/admin'] }),
  'two URIs, the right one last': by('prod', { uris: ['spiffe://prod.test/x', WEB] }),
  'the same URI twice': by('prod', { uris: [WEB, WEB] }),
  'an authority that calls as a workload': by('prod', {
    ...asWeb,
    isAuthority: true,
    keyUsage: KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign,
  }),
  'an expired SVID': by('prod', { ...asWeb, until: Date.now() - 1000 }),
  'an SVID of tomorrow': by('prod', { ...asWeb, from: Date.now() + HOUR_MS, until: Date.now() + 2 * HOUR_MS }),
  'an expired certificate': by('clients', { ...asPayments, until: Date.now() - 1000 }),
  'a certificate of tomorrow': by('clients', {
    ...asPayments,
    from: Date.now() + HOUR_MS,
    until: Date.now() + 2 * HOUR_MS,
  }),
  'a certificate for servers': by('clients', { ...asPayments, purposes: [ExtendedKeyUsage.serverAuth] }),
  'a self-signed one with the right name': async () => ({ identity: await makeSelfMade(asPayments) }),
  'a self-signed one with the right ID': async () => ({ identity: await makeSelfMade(asWeb) }),
  'a workload that signs another': below('prod', { isAuthority: false, uris: ['spiffe://prod.test/x'] }, asWeb),
  'a client that signs another': below('clients', { isAuthority: false, dns: ['x.test'] }, asPayments),
  'an intermediate with CA true, but no right to sign': below(
    'prod',
    { keyUsage: KeyUsageFlags.digitalSignature },
    asWeb,
  ),
  'an intermediate that has expired': below('clients', { until: Date.now() - 1000 }, asPayments),
  'the root under a name that is known': async () => {
    const fake = await makeOddRoot()
    return { identity: await fake.issue(asWeb), sent: signers.prod.certPem }
  },
  'a NUL behind the right name': by('clients', { names: names([0x82, 'payments.test\0.evil.test']) }),
  'the right name and one with a NUL': by('clients', { names: names([0x82, 'payments.test'], [0x82, 'a\0b']) }),
  'a name that reads like two': by('clients', { names: names([0x82, 'x,DNS:payments.test']) }),
  'a URI that reads like two': by('prod', { names: names([0x86, `urn:x,URI:${WEB}`]) }),
  'a wildcard over the right name': by('clients', { dns: ['*.test'] }),
  'a template with a wildcard': by('clients', { dns: ['*.made.test'] }),
  'an ID with something behind it': by('prod', { uris: [`${WEB}?x`] }),
  'an ID that climbs': by('prod', { uris: ['spiffe://prod.test/x/../ns/a/sa/web'] }),
  'an ID with an encoded slash': by('prod', { uris: ['spiffe://prod.test/ns%2Fa/sa/web'] }),
  'an ID with a port': by('prod', { uris: ['spiffe://prod.test:443/ns/a/sa/web'] }),
}

async function ask(forgery: Forgery, path: string): Promise<string> {
  const { identity, sent } = await forgery()
  const socket = await openTls(doorOf(running, 'forward'), { ca: signers.doors.certPem, ...showing(identity, sent) })
  const bytes = `GET http://api.crm.test${path} HTTP/1.1\r\nHost: api.crm.test\r\n\r\n`
  return (await talk(socket, bytes, WHOLE_ANSWER)).text
}

test.each(Object.entries(FORGERIES))('%s proves nobody', async (what, forgery) => {
  const before = upstream.bytes()
  const path = `/forged/${Object.keys(FORGERIES).indexOf(what)}`
  expect(await ask(forgery, path)).toMatch(/^HTTP\/1\.1 407 [\s\S]*"code":"certificate-unknown"/)
  expect(upstream.bytes()).toBe(before)
  const entry = await eventually(async () => (await running.audit(1)).find((one) => one['path'] === path), 'an entry')
  expect(entry).toMatchObject({ code: 'certificate-unknown', decision: 'refuse', reason: expect.any(String) })
  expect(entry['caller']).toBeUndefined()
})

test.each([
  ['a workload', by('prod', asWeb), 'prod.test/ns/a/sa/web'],
  ['a client', by('clients', asPayments), 'payments'],
  ['an intermediate', below('prod', {}, asWeb), 'prod.test/ns/a/sa/web'],
] as const)('%s that is in order is served all the same', async (what, forgery, caller) => {
  const path = `/honest/${what.replaceAll(' ', '-')}`
  expect(await ask(forgery, path)).toMatch(/^HTTP\/1\.1 200 /)
  const entry = await eventually(async () => (await running.audit(1)).find((one) => one['path'] === path), 'an entry')
  expect(entry).toMatchObject({ caller, details: { certificate: expect.stringMatching(/^sha256:/) } })
})

test('a certificate that is named like a caller of the settings is not that caller', async () => {
  const text = await ask(by('clients', { dns: ['checkout'] }), '/named-like-checkout')
  // It is somebody, by the template, and nobody has granted it anything.
  expect(text).toMatch(/^HTTP\/1\.1 403 [\s\S]*"code":"grant-missing"/)
  expect(text).not.toContain(CREDENTIAL)
})
