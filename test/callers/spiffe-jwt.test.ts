import { webcrypto } from 'node:crypto'
import { exportJWK, SignJWT } from 'jose'
import { expect, test } from 'vitest'
import { MAX_FAILURES_PER_SECOND } from '../../src/callers/failures.ts'
import { faultOfBundle } from '../../src/callers/spiffe-bundle.ts'
import type { Evidence } from '../../src/core/ask.ts'
import { Secret } from '../../src/core/secret.ts'
import { makeCallerTools } from '../support/caller-tools.ts'
import { makeOddRoot } from '../support/certificates.ts'
import { faultsIn, knowing } from './knowing.ts'

const tools = makeCallerTools()
const NOW = Math.floor(tools.clock.now() / 1000)

async function makeKey(kid?: string) {
  const { privateKey, publicKey } = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ])
  return { privateKey, jwk: { ...(await exportJWK(publicKey)), use: 'jwt-svid', ...(kid && { kid }) } }
}

type Key = Awaited<ReturnType<typeof makeKey>>
const key = await makeKey('one')
const other = await makeKey('two')

const CLAIMS = { sub: 'spiffe://prod.test/billing', aud: 'sallyport', exp: NOW + 300 }

interface Wishes {
  readonly by?: Key
  readonly header?: Readonly<Record<string, unknown>>
}

function token(
  claims: Readonly<Record<string, unknown>> = {},
  { by = key, header = {} }: Wishes = {},
): Promise<string> {
  const whole = Object.fromEntries(Object.entries({ ...CLAIMS, ...claims }).filter(([, value]) => value !== undefined))
  return new SignJWT(whole)
    .setProtectedHeader({ alg: 'ES256', kid: by.jwk['kid'] as string, ...header })
    .sign(by.privateKey)
}

function bundle(...keys: readonly object[]): string {
  return JSON.stringify({ keys })
}

const billing = {
  kind: 'spiffe',
  ids: ['spiffe://prod.test/billing'],
  bundles: { 'prod.test': { file: 'prod.json' } },
  audience: 'sallyport',
}

function shows(text: string, caller?: string): Evidence {
  return { keys: [{ key: new Secret(text), caller }], keysAre: 'certain' }
}

function ask(text: string, file = bundle(key.jwk), settings: object = billing, caller?: string) {
  return knowing({ billing: settings }, makeCallerTools({ file }))(shows(text, caller))
}

test('a JWT-SVID is the caller of its subject, with no issuer named', async () => {
  expect(await ask(await token())).toEqual({
    name: 'billing',
    method: 'spiffe',
    details: { spiffeId: 'spiffe://prod.test/billing', svid: 'jwt' },
    token: { secret: expect.any(Secret), claims: expect.any(Map) },
  })
  expect(await ask(await token({ aud: ['other', 'sallyport'] }))).toMatchObject({ name: 'billing' })
})

test.each(['JWT', 'JOSE'])('typ may be %s', async (typ) => {
  expect(await ask(await token({}, { header: { typ } }))).toMatchObject({ name: 'billing' })
})

test.each([
  ['another audience', { aud: 'other' }, 'its aud is not right'],
  ['no audience', { aud: undefined }, 'it has no aud'],
  ['no end', { exp: undefined }, 'it has no exp'],
  ['an end that has come', { exp: NOW - 31 }, 'it has expired'],
  ['a beginning to come', { nbf: NOW + 31 }, 'its nbf is not right'],
  ['the ID of a trust domain', { sub: 'spiffe://prod.test' }, 'its subject is not the SPIFFE ID of a workload'],
  ['another trust domain', { sub: 'spiffe://other.test/billing' }, 'its trust domain is not one of the settings'],
  ['another workload', { sub: 'spiffe://prod.test/admin' }, 'no caller has its SPIFFE ID'],
])('refuses one with %s', async (_what, claims, fault) => {
  expect(await ask(await token(claims))).toBe(`token-rejected: the JWT-SVID proves nobody: ${fault}`)
})

test.each([
  ['a key of its own', { jwk: key.jwk }],
  ['a place to fetch one', { jku: 'https://evil.test/keys' }],
  ['certificates of its own', { x5c: ['AA'] }],
  ['something critical', { crit: ['b64'], b64: true }],
  ['anything else', { 'x-more': 1 }],
])('refuses a header with %s', async (_what, header) => {
  expect(await ask(await token({}, { header }))).toBe(
    'token-rejected: the JWT-SVID proves nobody: its header has more than alg, kid and typ',
  )
})

test('refuses a type of its own', async () => {
  expect(await ask(await token({}, { header: { typ: 'at+jwt' } }))).toMatch(/its typ is not that of a JWT-SVID$/)
})

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

test.each(['none', 'HS256', 'EdDSA', 'ES256K'])('refuses the algorithm %s', async (alg) => {
  const forged = `${part({ alg, kid: 'one' })}.${part(CLAIMS)}.${alg === 'none' ? '' : 'AAAA'}`
  expect(await ask(forged)).toMatch(/its algorithm is not one of JWT-SVIDs$/)
})

test('refuses a signature of somebody else, and claims that were changed', async () => {
  const SIGNED = 'token-rejected: the JWT-SVID proves nobody: no key of its trust domain has signed it'
  const stranger = await makeKey('one')
  expect(await ask(await token({}, { by: stranger }))).toBe(SIGNED)
  const [head, , signature] = (await token()).split('.')
  expect(await ask(`${head}.${part({ ...CLAIMS, exp: NOW + 9999 })}.${signature}`)).toBe(SIGNED)
  expect(await ask(await token({}, { by: other }))).toMatch(/no key of its trust domain fits it$/)
})

test('where nothing says which key it was, each is tried', async () => {
  const unnamed = await Promise.all([makeKey(), makeKey(), makeKey()])
  const last = unnamed.at(-1) ?? key
  const file = bundle(...unnamed.map(({ jwk }) => jwk))
  expect(await ask(await token({}, { by: last, header: { kid: undefined } }), file)).toMatchObject({ name: 'billing' })
  expect(await ask(await token({}, { by: other, header: { kid: undefined } }), file)).toMatch(/has signed it$/)
  expect(await ask(await token({ aud: 'x' }, { by: last, header: { kid: undefined } }), file)).toMatch(/its aud/)
})

test('keys of another use are not believed', async () => {
  for (const use of ['sig', 'x509-svid', undefined])
    expect(await ask(await token(), bundle({ ...key.jwk, use }))).toMatch(/has no key for JWT-SVIDs$/)
})

test('a bundle in PEM and a caller without an audience take no JWT-SVID', async () => {
  expect(await ask(await token(), (await makeOddRoot()).certPem)).toMatch(/has no key for JWT-SVIDs$/)
  const { audience: _none, ...without } = billing
  expect(await ask(await token(), bundle(key.jwk), without)).toMatch(/no audience is set for its caller$/)
})

test('a name beside the token has to be the name of its caller', async () => {
  const one = await token()
  expect(await ask(one, bundle(key.jwk), billing, 'billing')).toMatchObject({ name: 'billing' })
  expect(await ask(one, bundle(key.jwk), billing, 'admin')).toBe('token-rejected: the JWT-SVID is of another caller')
})

test('two tokens at once prove nobody', async () => {
  const shown = { key: new Secret(await token()) }
  const identify = knowing({ billing }, makeCallerTools({ file: bundle(key.jwk) }))
  expect(await identify({ keys: [shown, shown], keysAre: 'maybe' })).toMatch(/^caller-unknown/)
})

test.each(['', 'x', 'a.b.c', '..', `${'a'.repeat(17_000)}.b.c`])('what is no token is nobody’s (%#)', async (text) => {
  expect(await ask(text)).toBe('caller-unknown: a wrong proof')
})

test('a token without claims is a token, and nobody’s', async () => {
  const text = `${part({ alg: 'ES256' })}.${part([])}.AA`
  expect(await ask(text)).toBe('token-rejected: its claims are not one JSON object with each name once')
  const foreign = `${part({ alg: 'ES256' })}.${part({ iss: 'https://issuer.test' })}.AA`
  expect(await ask(foreign)).toBe('token-rejected: a token of an issuer that no caller names')
})

test('what is known is served when too many wrong proofs come from there; what is not is not looked into', async () => {
  const { clock, ...others } = makeCallerTools({ file: bundle(key.jwk) })
  const identify = knowing({ billing }, { clock, ...others })
  const known = shows(await token())
  expect(await identify(known)).toMatchObject({ name: 'billing' })
  for (let at = 0; at <= MAX_FAILURES_PER_SECOND; at++) await identify(shows('wrong'))
  expect(await identify(known)).toMatchObject({ name: 'billing' })
  expect(await identify(shows(await token({ exp: NOW + 301 })))).toMatch(/^too-many-failures/)
})

test('a token that was known is judged anew when its bundle has changed', async () => {
  const moving = makeCallerTools({ file: bundle(key.jwk) })
  const identify = knowing({ billing }, moving)
  const shown = shows(await token())
  expect(await identify(shown)).toMatchObject({ name: 'billing' })
  moving.references.changeFile(bundle(key.jwk, other.jwk))
  expect(await identify(shown)).toMatchObject({ name: 'billing' })
  moving.references.changeFile(bundle(other.jwk))
  expect(await identify(shown)).toMatch(/no key of its trust domain fits it$/)
})

test('a token that is known is nobody’s beside another name', async () => {
  const identify = knowing({ billing }, makeCallerTools({ file: bundle(key.jwk) }))
  const one = await token()
  expect(await identify(shows(one))).toMatchObject({ name: 'billing' })
  expect(await identify(shows(one, 'admin'))).toBe('token-rejected: the JWT-SVID is of another caller')
})

test('expiry is looked at in every request', async () => {
  const moving = makeCallerTools({ file: bundle(key.jwk) })
  const identify = knowing({ billing }, moving)
  const shown = shows(await token({ exp: NOW + 60 }))
  expect(await identify(shown)).toMatchObject({ name: 'billing' })
  moving.clock.advance(91_000)
  expect(await identify(shown)).toMatch(/it has expired$/)
})

test.each([
  ['', 'has no authority in it'],
  ['hello', 'has no authority in it'],
  ['{', 'is no trust bundle'],
  ['{"keys":{}}', 'has no list "keys"'],
  ['{"keys":[]}', 'has no authority in it'],
  [bundle({ ...key.jwk, use: 'sig' }), 'has no authority in it'],
  [bundle({ use: 'x509-svid', x5c: ['AAAA'] }), 'is no trust bundle'],
])('a bundle of %j is refused in words', (text, words) => {
  expect(faultOfBundle(text)).toContain(words)
})

test('the file with a private key, and a leaf, are no trust bundles', async () => {
  const root = await makeOddRoot()
  const leaf = await root.issue({})
  expect(faultOfBundle(root.certPem)).toBeUndefined()
  expect(faultOfBundle(leaf.key + leaf.cert)).toContain('holds a private key')
  expect(faultOfBundle(root.certPem + leaf.cert)).toBe('is no trust bundle: certificate 2 is no authority')
})

test('the folder of Filesystem Delivery is one bundle a trust domain', () => {
  const folder = { path: '/run/spiffe', trustDomains: ['prod.test'] }
  expect(faultsIn({ kind: 'spiffe', ids: ['spiffe://prod.test/a'], folder })).toEqual([])
  expect(
    faultsIn({ kind: 'spiffe', ids: ['spiffe://prod.test/a'], folder: { ...folder, trustDomains: [] } }),
  ).not.toEqual([])
})
