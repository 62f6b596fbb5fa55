import { BlockList } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { fetchKeys, type KeyPlace } from '../../src/callers/jwks-fetch.ts'
import { trustOf } from '../../src/wire/trust.ts'
import { makeCallerTools } from '../support/caller-tools.ts'
import { makeAuthority } from '../support/certificates.ts'
import { type Quirk, type QuirkIssuer, startQuirkIssuer } from '../support/quirk-issuer.ts'
import { jwksOf, makeSigningKey } from '../support/tokens.ts'

const signer = await makeSigningKey()
const authority = await makeAuthority()
const { dialer } = makeCallerTools({ hosts: ['issuer.test', 'other.test'] })
let server: QuirkIssuer

beforeAll(async () => {
  server = await startQuirkIssuer(await authority.issue(['issuer.test', 'other.test']))
})
afterAll(() => server.stop())

const OPENID = '/t/.well-known/openid-configuration'
const OAUTH = '/.well-known/oauth-authorization-server/t'
const issuer = () => `https://issuer.test:${server.port}/t`

/** Answers by path; everything else is not there. */
function publish(answers: Readonly<Record<string, Quirk>>): void {
  server.answer(({ target }) => answers[target] ?? { status: 404 })
}

function metadata(changes: object = {}): Quirk {
  return { body: { issuer: issuer(), jwks_uri: `https://other.test:${server.port}/keys`, ...changes } }
}

const KEYS: Quirk = { body: jwksOf(signer) }

function fetch(place: Partial<KeyPlace> = {}, signal = AbortSignal.timeout(5_000)) {
  const allowPrivate = new BlockList()
  allowPrivate.addSubnet('127.0.0.0', 8)
  const route = { dialer, trust: trustOf(authority.certPem), allowPrivate, timeoutMs: 2_000 }
  return fetchKeys(
    { issuer: issuer(), url: undefined, route, plaintext: false, authorization: undefined, ...place },
    signal,
  )
}

function targets(): string[] {
  return server.requests.slice(seen).map(({ target }) => target)
}

let seen = 0
beforeEach(() => {
  seen = server.requests.length
})

test('the metadata of OpenID say where the keys are, which may be at another host', async () => {
  publish({ [OPENID]: metadata(), '/keys': KEYS })
  expect((await fetch()).keys.map(({ kid }) => kid)).toEqual(['ES256-1'])
  expect(targets()).toEqual([OPENID, '/keys'])
})

test('without those of OpenID, those of RFC 8414 do', async () => {
  publish({ [OAUTH]: metadata(), '/keys': KEYS })
  expect((await fetch()).keys).toHaveLength(1)
  expect(targets()).toEqual([OPENID, OAUTH, '/keys'])
})

test('a URL in the settings needs no metadata', async () => {
  publish({ '/mine?v=2': KEYS })
  expect((await fetch({ url: `https://issuer.test:${server.port}/mine?v=2` })).keys).toHaveLength(1)
  expect(targets()).toEqual(['/mine?v=2'])
})

describe('no keys come of', () => {
  test.each<[string, () => Readonly<Record<string, Quirk>>, RegExp]>([
    ['no metadata', () => ({}), /publishes no metadata/],
    [
      'metadata of another issuer',
      () => ({ [OPENID]: metadata({ issuer: 'https://evil.test' }) }),
      /not those of the issuer/,
    ],
    [
      'an issuer with another slash',
      () => ({ [OPENID]: metadata({ issuer: `${issuer()}/` }) }),
      /not those of the issuer/,
    ],
    ['two issuers', () => ({ [OPENID]: { body: `{"issuer":"${issuer()}","issuer":"x"}` } }), /not those of the issuer/],
    ['no jwks_uri', () => ({ [OPENID]: metadata({ jwks_uri: undefined }) }), /name no place of keys/],
    [
      'a jwks_uri over http',
      () => ({ [OPENID]: metadata({ jwks_uri: 'http://issuer.test/k' }) }),
      /name no place of keys/,
    ],
    [
      'a jwks_uri in a file',
      () => ({ [OPENID]: metadata({ jwks_uri: 'file:///etc/passwd' }) }),
      /name no place of keys/,
    ],
    [
      'a redirect',
      () => ({ [OPENID]: { status: 302, headers: { location: '/x' } }, '/x': metadata() }),
      /answered 302/,
    ],
    [
      'keys behind a redirect',
      () => ({ [OPENID]: metadata(), '/keys': { status: 301, headers: { location: '/k' } }, '/k': KEYS }),
      /answered 301/,
    ],
    ['an error', () => ({ [OPENID]: { status: 503 } }), /answered 503/],
    ['a challenge', () => ({ [OPENID]: { status: 401 } }), /answered 401/],
    ['keys that are not there', () => ({ [OPENID]: metadata() }), /has no keys at \/keys/],
    ['keys that are none', () => ({ [OPENID]: metadata(), '/keys': { body: '<html>' } }), /is no JWK set/],
    ['256 KiB and more', () => ({ [OPENID]: metadata(), '/keys': { body: ' '.repeat(300_000) } }), /too large/],
    [
      'what was compressed all the same',
      () => ({ [OPENID]: metadata(), '/keys': { headers: { 'content-encoding': 'gzip' }, body: 'x' } }),
      /is no JWK set/,
    ],
    [
      'an answer that breaks off',
      () => ({ [OPENID]: metadata(), '/keys': { ...KEYS, instead: 'reset-midway' } }),
      /broke off/,
    ],
  ])('%s', async (_what, answers, words) => {
    publish(answers())
    await expect(fetch()).rejects.toThrow(words)
  })

  test('an issuer that never answers', async () => {
    publish({ [OPENID]: { instead: 'silence' } })
    await expect(fetch({}, AbortSignal.timeout(100))).rejects.toThrow(/in time/)
  })

  test('an issuer that another authority vouches for', async () => {
    const route = { dialer, trust: trustOf(), allowPrivate: new BlockList(), timeoutMs: 2_000 }
    route.allowPrivate.addSubnet('127.0.0.0', 8)
    await expect(fetch({ route })).rejects.toThrow(/issuer\.test/)
    expect(targets()).toEqual([])
  })

  test('an address that nobody allowed', async () => {
    const route = { dialer, trust: trustOf(authority.certPem), allowPrivate: new BlockList(), timeoutMs: 2_000 }
    await expect(fetch({ route })).rejects.toThrow(/loopback/)
    expect(targets()).toEqual([])
  })
})

test('our own token goes to where the settings point, and nowhere else', async () => {
  publish({ [OPENID]: metadata(), '/keys': KEYS })
  await fetch({ authorization: () => 'Bearer own' })
  const shown = server.requests.slice(seen).map(({ rawHeaders }) => rawHeaders.includes('Bearer own'))
  expect(shown).toEqual([true, false])
  await fetch({ url: `https://other.test:${server.port}/keys`, authorization: () => 'Bearer own' })
  expect(server.requests.at(-1)?.rawHeaders).toContain('Bearer own')
})
