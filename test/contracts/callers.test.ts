import { describe, expect, test } from 'vitest'
import { callerKinds, callerSettings } from '../../src/callers/registry.ts'
import type { Evidence } from '../../src/core/ask.ts'
import { Secret } from '../../src/core/secret.ts'
import { makeCallerTools } from '../support/caller-tools.ts'
import { makeOddRoot } from '../support/certificates.ts'
import { identifying } from '../support/identifying.ts'
import { byCertificate, shownCertificate } from '../support/shown-certificate.ts'
import { claimsAt, jwksOf, makeSigningKey, showing, signToken } from '../support/tokens.ts'
import { describeKinds } from './kinds.ts'

const KEY = 'the key of a test'
const signer = await makeSigningKey()
const tools = makeCallerTools({ secret: KEY })

async function tokenOf(claims: object): Promise<Evidence> {
  return showing(await signToken(signer, claimsAt(tools.clock.now(), { aud: 'sallyport', ...claims })))
}

const examples = {
  'api-key': { key: { file: 'keys/checkout' } },
  jwt: { issuer: 'https://issuer.test', audience: 'sallyport', jwks: { file: 'jwks.json' }, claims: { sub: 'job-7' } },
  kubernetes: { issuer: 'https://cluster.test', audience: 'sallyport', jwks: { file: 'jwks.json' } },
  mtls: { dns: 'client.test' },
  spiffe: { ids: ['spiffe://prod.test/client'], bundles: { 'prod.test': { file: 'bundle.pem' } } },
  socket: {},
  'unix-peer': { uid: 1004 },
}

describeKinds('callers', callerKinds, examples)

/** One authority for the door and for the trust domain alike, so that only the names tell the two methods apart. */
const times = { from: Date.UTC(2026, 10, 1), until: Date.UTC(2099, 0, 1) }
const root = await makeOddRoot(times)

async function certified(names: object) {
  const { cert } = await root.issue({ ...times, ...names })
  return byCertificate(shownCertificate({ cert, clientCa: root.certPem }))
}

/** What proves the caller of the example, by kind; a kind that is missing here does not compile. */
const proofs: Readonly<Record<keyof typeof callerKinds, Evidence>> = {
  'api-key': { keys: [{ key: new Secret(KEY) }], keysAre: 'certain' },
  jwt: await tokenOf({ iss: 'https://issuer.test', sub: 'job-7' }),
  kubernetes: await tokenOf({ iss: 'https://cluster.test', sub: 'system:serviceaccount:shop:checkout' }),
  mtls: await certified({ dns: ['client.test'] }),
  spiffe: await certified({ uris: ['spiffe://prod.test/client'] }),
  socket: { doorCaller: 'subject', keys: [], keysAre: 'maybe' },
  'unix-peer': { peer: { pid: 1, uid: 1004, gid: 7 }, keys: [], keysAre: 'maybe' },
}

/** Where the proof makes the name, it is another than the one in the settings. */
const NAMES: Partial<Record<keyof typeof callerKinds, string>> = { kubernetes: 'shop/checkout' }

const NOTHING: Evidence = { keys: [], keysAre: 'certain' }

function identifyWith(callers: Readonly<Record<string, object>>) {
  const settings = Object.fromEntries(Object.entries(callers).map(([name, one]) => [name, callerSettings.parse(one)]))
  const file = (reference: { readonly file: string }) =>
    reference.file === 'bundle.pem' ? root.certPem : jwksOf(signer)
  return identifying(settings, { ...tools, references: { secret: () => tools.references.secret(), file } })
}

// Object.keys has forgotten the names of the keys.
describe.each(Object.keys(callerKinds) as (keyof typeof callerKinds)[])('the caller method %s', (kind) => {
  const identify = identifyWith({ subject: { kind, ...examples[kind] } })

  test('names the caller that shows its proof', async () => {
    expect(await identify(proofs[kind])).toMatchObject({ name: NAMES[kind] ?? 'subject', method: kind })
  })

  test('names nobody who shows nothing', async () => {
    expect(await identify(NOTHING)).toBeUndefined()
  })

  test('names nobody by the proofs of the other methods', async () => {
    const others = Object.entries(proofs).filter(([other]) => other !== kind)
    for (const [, evidence] of others) expect(await identify(evidence)).toBeUndefined()
  })

  test('answers the same question alike, however often it is put', async () => {
    expect(await identify(proofs[kind])).toEqual(await identify(proofs[kind]))
  })

  test('a wrong key in Proxy-Authorization refuses, whatever else is shown', async () => {
    const wrong = { ...proofs[kind], keys: [{ key: new Secret('not the key') }], keysAre: 'certain' as const }
    expect(await identify(wrong)).toBeUndefined()
    expect(await identify({ ...proofs[kind], keys: [], keysAre: 'certain', unreadable: true })).toBeUndefined()
  })
})
