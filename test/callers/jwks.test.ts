import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { ALGORITHMS, type KeySet, readJwks, signerOf } from '../../src/callers/jwks.ts'
import { readToken, type Token } from '../../src/callers/token.ts'
import { Secret } from '../../src/core/secret.ts'
import { forgeToken, jwksOf, makeSigningKey, signToken } from '../support/tokens.ts'

function keysIn(text: string): KeySet {
  const keys = readJwks(text)
  if (typeof keys === 'string') throw new Error(keys)
  return keys
}

function read(text: string): Token {
  const token = readToken(new Secret(text))
  if (typeof token !== 'object') throw new Error(`no token: ${token}`)
  return token
}

const algorithms = Object.keys(ALGORITHMS)
const signers = new Map(await Promise.all(algorithms.map(async (alg) => [alg, await makeSigningKey(alg)] as const)))

function signer(alg: string) {
  const found = signers.get(alg)
  if (!found) throw new Error(alg)
  return found
}

const one = signer('ES256')

describe('a set of keys', () => {
  test.each([
    ['nothing', ''],
    ['HTML', '<html>'],
    ['a list', '[]'],
    ['no list of keys', '{"keys":{}}'],
    ['two lists of keys', `{"keys":[],"keys":[${JSON.stringify(one.jwk)}]}`],
    ['no key', '{"keys":[]}'],
    ['too many', JSON.stringify({ keys: Array.from({ length: 101 }, () => one.jwk) })],
  ])('is not %s', (_what, text) => {
    expect(typeof readJwks(text)).toBe('string')
  })

  const { privateKey: short } = generateKeyPairSync('rsa', { modulusLength: 1024 })

  test.each<[string, unknown]>([
    ['is no object', 'a'],
    ['is null', null],
    ['is to encrypt with', { ...one.jwk, use: 'enc' }],
    ['may not verify', { ...one.jwk, key_ops: ['sign'] }],
    ['is a private one', { ...one.jwk, d: 'AA' }],
    ['is a shared secret', { kty: 'oct', k: 'AAAA', alg: 'HS256' }],
    ['is a shared secret under another name', { ...one.jwk, k: 'AAAA' }],
    ['is a short RSA key', short.export({ format: 'jwk' })],
    ['is not on its curve', { ...one.jwk, x: one.jwk.y, y: one.jwk.x }],
    ['is of an unknown sort', { kty: 'AKP', alg: 'ML-DSA-44', pub: 'AA' }],
    ['has no curve', { kty: 'EC' }],
  ])('leaves out what %s', (_what, key) => {
    const keys = keysIn(JSON.stringify({ keys: [key, one.jwk] }))
    expect(keys.keys.map(({ kid }) => kid)).toEqual(['ES256-1'])
    expect(typeof readJwks(JSON.stringify({ keys: [key] }))).toBe('string')
  })

  test('tells keys apart by what they are, whatever they are called', async () => {
    const other = await makeSigningKey('ES256', one.kid)
    const [first, second] = [keysIn(jwksOf(one)), keysIn(jwksOf(other))]
    const [id = '', otherId = ''] = [first.keys[0]?.id, second.keys[0]?.id]
    expect([first.holds(id), first.holds(otherId), second.holds(id)]).toEqual([true, false, false])
  })
})

describe('the signer of a token', () => {
  const all = keysIn(jwksOf(...signers.values()))
  const claims = { sub: 'job' }

  test.each(algorithms)('is found for %s, with and without a kid', async (alg) => {
    const kid = (found: unknown) => (typeof found === 'object' && found !== null && 'kid' in found ? found.kid : found)
    expect(kid(await signerOf(read(await signToken(signer(alg), claims)), all))).toBe(`${alg}-1`)
    // Ed25519 and EdDSA are one algorithm; each finds its own key by what the issuer says it is for.
    expect(kid(await signerOf(read(await signToken(signer(alg), claims, { kid: undefined })), all))).toBe(`${alg}-1`)
  })

  test('is nobody when a bit of the signature, the header or the claims is another', async () => {
    const [header = '', body = '', signature = ''] = (await signToken(one, claims)).split('.')
    const others = [
      `${header}.${body}.${signature.slice(0, -2)}${signature.endsWith('A') ? 'Q' : 'A'}A`,
      `${header}.${Buffer.from('{"sub":"boss"}').toString('base64url')}.${signature}`,
      `${Buffer.from('{"alg":"ES256","kid":"ES256-1"}').toString('base64url')}.${body}.${signature}`,
      `${header}.${body}.`,
    ]
    for (const text of others) expect(await signerOf(read(text), all)).toBeUndefined()
  })

  test.each([
    ['a kid that nobody has', { alg: 'ES256', kid: 'other' }],
    ['a kid that is a path', { alg: 'ES256', kid: '../../dev/null' }],
    ['the kid of a key of another sort', { alg: 'ES256', kid: 'RS256-1' }],
    ['the kid of a key for another algorithm', { alg: 'PS256', kid: 'RS256-1' }],
  ])('is an unknown key for %s', async (_what, header) => {
    expect(await signerOf(read(forgeToken(header, claims, 'AA')), all)).toBe('unknown-key')
  })

  test('without a kid is looked for among four keys at most', async () => {
    const crowd = await Promise.all(Array.from({ length: 5 }, (_, at) => makeSigningKey('ES256', `k${at}`)))
    const [first, , , , fifth] = crowd
    if (!first || !fifth) throw new Error('five keys')
    const keys = keysIn(jwksOf(...crowd))
    const anonymous = async (key: typeof first) => read(await signToken(key, claims, { kid: undefined }))
    expect(await signerOf(await anonymous(first), keys)).toMatchObject({ kid: 'k0' })
    expect(await signerOf(await anonymous(fifth), keys)).toBe('unknown-key')
  })
})

describe('a token', () => {
  test.each([
    ['an opaque key', 'caller-0123456789abcdef'],
    ['two parts', 'eyJhbGciOiJub25lIn0.e30'],
    ['four parts', 'eyJhbGciOiJub25lIn0.e30.AA.AA'],
    ['an encrypted one', 'eyJhbGciOiJkaXIifQ..AA.AA.AA'],
    ['dots and words', 'every.body.knows'],
    ['no JSON in front', forgeToken('excuse me', {}, 'AA')],
    ['no algorithm', forgeToken({ typ: 'JWT' }, {}, 'AA')],
    ['a header with a name given twice', forgeToken('{"alg":"none","alg":"ES256"}', {}, 'AA')],
    ['other characters', `${forgeToken({ alg: 'ES256' }, {})}+/=`],
    ['more than fits into a head', forgeToken({ alg: 'ES256' }, { sub: 'a'.repeat(16_384) }, 'AA')],
  ])('is not %s', (_what, text) => {
    expect(readToken(new Secret(text))).toBeUndefined()
  })

  test.each([
    ['no object', '"a"'],
    ['a list', '[]'],
    ['a claim given twice', '{"sub":"a","sub":"b"}'],
    ['half of one', '{"sub":'],
    ['a byte order mark', '\uFEFF{}'],
  ])('says what is wrong with claims that are %s', async (_what, claims) => {
    expect(typeof readToken(new Secret(await signToken(one, claims)))).toBe('string')
  })

  test('has no prototype to be confused by', async () => {
    const token = read(await signToken(one, '{"__proto__":{"sub":"boss"},"constructor":1}'))
    expect([token.claims.get('sub'), token.claims.get('constructor')]).toEqual([undefined, 1])
  })
})
