import { describe, expect, test } from 'vitest'
import { buildIdentify, type CallerSettings, callerSettings } from '../../src/callers/registry.ts'
import type { Caller, Evidence } from '../../src/core/ask.ts'
import { Secret } from '../../src/core/secret.ts'
import { makeCallerTools } from '../support/caller-tools.ts'
import { claimsAt, jwksOf, makeSigningKey, showing, signToken } from '../support/tokens.ts'

const signer = await makeSigningKey()
const ISSUER = 'https://issuer.test'
const base = { kind: 'jwt', issuer: ISSUER, audience: 'sallyport', jwks: { file: 'jwks.json' }, claims: { sub: 'job' } }

/** Callers on hand-driven clocks, who are asked for in the words of the record. */
function scene(callers: Readonly<Record<string, object>> = { job: base }) {
  const tools = makeCallerTools({ secret: 'the key of another', file: jwksOf(signer) })
  const settings = Object.fromEntries(
    Object.entries(callers).map(([name, one]): [string, CallerSettings] => [name, callerSettings.parse(one)]),
  )
  const identify = buildIdentify(settings, tools)
  const token = (claims: object = {}, header: object = {}) =>
    signToken(signer, claimsAt(tools.clock.now(), { iss: ISSUER, aud: 'sallyport', sub: 'job', ...claims }), header)
  const who = async (evidence: Evidence | string) =>
    identify(typeof evidence === 'string' ? showing(evidence) : evidence)
  /** The name, or the code and what was against it. */
  const told = async (evidence: Evidence | string) => {
    const found = await who(evidence)
    return found.name ?? `${found.code}: ${found.reason}`
  }
  return { ...tools, token, who, told }
}

/** Who a token of these claims proves. */
async function toldOf(claims: object, header: object = {}): Promise<string> {
  const { told, token } = scene()
  return told(await token(claims, header))
}

test('a token proves its caller, and the record learns of whom it speaks, never the token itself', async () => {
  const { who, token } = scene()
  const text = await token({ sub: 'job' })
  const found = (await who(text)) as Caller
  expect(found).toEqual({
    name: 'job',
    method: 'jwt',
    details: { issuer: ISSUER, subject: 'job' },
    token: { secret: expect.any(Secret), claims: expect.any(Map) },
  })
  expect(JSON.stringify(found)).not.toContain(text)
})

describe('the audience', () => {
  test.each([
    ['ours', 'sallyport', true],
    ['ours among others', ['other', 'sallyport'], true],
    ['another', 'other', false],
    ['ours in capitals', 'Sallyport', false],
    ['a part of ours', 'sally', false],
    ['ours within another', 'sallyport.evil.test', false],
    ['none', undefined, false],
    ['no text', 7, false],
    ['an empty list', [], false],
    ['a list with something else in it', ['sallyport', 7], false],
    ['a list in a list', [['sallyport']], false],
    ['an object', { sallyport: true }, false],
  ])('is %s', async (_what, aud, isRight) => {
    expect(await toldOf({ aud })).toBe(isRight ? 'job' : 'token-rejected: not job, because it is for another audience')
  })
})

describe('the time', () => {
  const now = scene().clock.now() / 1000

  test.each([
    ['no exp', { exp: undefined }, /has no exp/],
    ['exp as text', { exp: `${now + 600}` }, /exp is no number/],
    ['exp as null', { exp: null }, /exp is no number/],
    ['exp past', { exp: now - 61 }, /has expired/],
    ['exp past by the slack exactly', { exp: now - 60 }, /has expired/],
    ['exp past within the slack', { exp: now - 59.999 }, /^job$/],
    ['negative exp', { exp: -1 }, /has expired/],
    ['nbf to come', { nbf: now + 61 }, /not valid yet/],
    ['nbf to come within the slack', { nbf: now + 60 }, /^job$/],
    ['nbf as text', { nbf: 'now' }, /nbf is no number/],
    ['iat to come', { iat: now + 61 }, /issued in the future/],
    ['iat as a list', { iat: [now] }, /iat is no number/],
    ['neither nbf nor iat', { nbf: undefined, iat: undefined }, /^job$/],
  ])('%s', async (_what, claims, words) => {
    expect(await toldOf(claims)).toMatch(words)
  })

  test('a number beyond all numbers is none', async () => {
    const { told } = scene()
    const text = `{"iss":"${ISSUER}","aud":"sallyport","sub":"job","exp":1e999}`
    expect(await told(await signToken(signer, text))).toMatch(/exp is no number/)
  })

  test('without slack the very second counts', async () => {
    const { told, token, clock } = scene({ job: { ...base, clockSlackMs: 0 } })
    const text = await token({ exp: clock.now() / 1000 + 10 })
    clock.advance(9_999)
    expect(await told(text)).toBe('job')
    clock.advance(1)
    expect(await told(text)).toMatch(/has expired/)
  })

  test('H03 a known token ends with its exp, on whichever clock gets there first', async () => {
    for (const pass of ['advance', 'jumpWall'] as const) {
      const { told, token, clock } = scene()
      const text = await token()
      expect(await told(text)).toBe('job')
      clock[pass](660_000)
      expect(await told(text)).toMatch(/has expired/)
    }
  })

  test('H03 a wall clock that is set back makes no known token live longer', async () => {
    const { told, token, clock } = scene()
    const text = await token({ nbf: undefined, iat: undefined })
    expect(await told(text)).toBe('job')
    clock.advance(600_000)
    clock.jumpWall(-3_600_000)
    expect(await told(text)).toBe('job')
    clock.advance(59_999)
    expect(await told(text)).toBe('job')
    clock.advance(1)
    expect(await told(text)).toMatch(/has expired/)
    clock.jumpWall(-3_600_000)
    expect(await told(text)).toMatch(/has expired/)
  })

  test('H03 a known token whose nbf is to come again is refused', async () => {
    const { told, token, clock } = scene()
    const text = await token()
    expect(await told(text)).toBe('job')
    clock.jumpWall(-3_600_000)
    expect(await told(text)).toMatch(/not valid yet/)
  })
})

describe('the header', () => {
  test.each([
    ['JWT', true],
    ['jwt', true],
    ['at+jwt', true],
    ['application/at+jwt', true],
    [undefined, true],
    ['logout+jwt', false],
    ['secevent+jwt', false],
    ['dpop+jwt', false],
    [7, false],
  ])('of typ %s', async (typ, isRight) => {
    expect(await toldOf({}, { typ })).toMatch(isRight ? /^job$/ : /its typ/)
  })

  test.each([
    ['crit', { crit: ['exp'], exp: 1 }, /extension/],
    ['an empty kid', { kid: '' }, /its kid/],
    ['a kid of 300 characters', { kid: 'k'.repeat(300) }, /its kid/],
    [
      'keys of its own',
      { jwk: signer.jwk, jku: 'https://evil.test/', x5u: 'https://evil.test/', x5c: ['AA'] },
      /^job$/,
    ],
  ])('with %s', async (_what, header, words) => {
    // The library would not sign some of these; what counts is what we say of them.
    const { told, token } = scene()
    const [, body = '', signature = ''] = (await token()).split('.')
    const whole = { alg: 'ES256', kid: signer.kid, typ: 'JWT', ...header }
    const head = Buffer.from(JSON.stringify(whole)).toString('base64url')
    const text = words.test('job') ? await token({}, header) : `${head}.${body}.${signature}`
    expect(await told(text)).toMatch(words)
  })

  test('with an algorithm that the settings leave out', async () => {
    const { told, token } = scene({ job: { ...base, algorithms: ['RS256'] } })
    expect(await told(await token())).toMatch(/algorithm is not allowed/)
  })
})

describe('more than one caller of an issuer', () => {
  const named = (name: string | undefined, claims: object) => ({ ...base, claims, ...(name !== undefined && { name }) })

  test('is told apart by claims, and one that the settings name goes before one whose name is made', async () => {
    const { told, token } = scene({
      all: named('ci/{sub}', { org: 'acme' }),
      deploy: named(undefined, { sub: 'deploy' }),
    })
    expect(await told(await token({ org: 'acme', sub: 'deploy' }))).toBe('deploy')
    expect(await told(await token({ org: 'acme', sub: 'test' }))).toBe('ci/test')
    expect(await told(await token({ org: 'other', sub: 'test' }))).toBe(
      'token-rejected: not all, because its claim org does not fit; not deploy, because its claim sub does not fit',
    )
  })

  test('that it fits alike proves nobody', async () => {
    const { told, token } = scene({ one: named(undefined, { sub: 'job' }), two: named(undefined, { sub: '*' }) })
    expect(await told(await token())).toMatch(/could be one or two/)
  })

  test('of two issuers that could make one name: neither does', async () => {
    const other = { ...named('ci/{sub}', {}), issuer: 'https://other.test' }
    const { told, token } = scene({ one: named('ci/{sub}', {}), two: other })
    expect(await told(await token())).toMatch(
      /^token-rejected: the name that its claims make for one may be somebody else/,
    )
  })
})

test('a claim makes no name of the settings', async () => {
  const { told, token } = scene({ all: { ...base, claims: {}, name: 'ci/{sub}' }, job: { kind: 'socket' } })
  for (const sub of ['../job', '', 'a b', 'job\n', 7]) expect(await told(await token({ sub }))).toMatch(/make no name/)
})

test('groups and scopes go with the caller', async () => {
  const { who, token } = scene({
    job: { ...base, groups: { claim: 'roles', prefix: 'x:' }, scopes: { read: { methods: ['GET'] } } },
  })
  expect(await who(await token({ roles: ['a', 'b'], scope: 'read write' }))).toMatchObject({
    groups: ['x:a', 'x:b'],
    scopes: { scopes: ['read'] },
  })
  expect(await who(await token())).toMatchObject({ groups: [], scopes: { scopes: [], parts: [] } })
  expect(await who(await token({ roles: [7] }))).toMatchObject({ code: 'token-rejected' })
})

describe('a user name beside a token', () => {
  const callers = { job: base, other: { kind: 'api-key', key: { file: 'key' } } }

  test.each([
    ['nothing', '', 'job'],
    ['its own', 'job', 'job'],
    ['what a client makes up', 'x-access-token', 'job'],
    ['that of another caller', 'other', 'caller-unknown: a proof of one caller beside the name of another'],
    ['one of Object.prototype', 'constructor', 'job'],
  ])('is %s', async (_what, caller, expected) => {
    const { told, token } = scene(callers)
    expect(await told(showing(await token(), caller === '' ? undefined : caller))).toBe(expected)
  })
})

test('a user name beside a token may be what the settings call a caller whose name is made of claims, of that one', async () => {
  const { told, token } = scene({
    people: { ...base, claims: {}, name: 'corp/{sub}' },
    robots: { ...base, issuer: 'https://other.test', claims: {}, name: 'bot/{sub}' },
  })
  expect(await told(showing(await token({ sub: 'ann' }), 'people'))).toBe('corp/ann')
  expect(await told(showing(await token({ sub: 'ann' }), 'robots'))).toMatch(/beside the name of another$/)
})

test('opaque keys go on working beside tokens', async () => {
  const { told, token } = scene({ job: base, other: { kind: 'api-key', key: { file: 'key' } } })
  expect(await told('the key of another')).toBe('other')
  expect(await told('another key')).toBe('caller-unknown: a wrong proof')
  expect(await told(await token())).toBe('job')
  const [key] = showing(await token()).keys
  expect(
    await told({ keys: [{ key: new Secret('the key of another') }, ...(key ? [key] : [])], keysAre: 'maybe' }),
  ).toBe('caller-unknown: a wrong proof')
})

test('a token of an issuer that nobody names says so', async () => {
  const { told, token } = scene({ job: base, other: { kind: 'api-key', key: { file: 'key' } } })
  for (const iss of [undefined, 7, [ISSUER], `${ISSUER}/`, 'https://evil.test', 'constructor'])
    expect(await told(await token({ iss }))).toBe('token-rejected: a token of an issuer that no caller names')
})

test('details hold nothing that a terminal would act on', async () => {
  const { who, token } = scene({ job: { ...base, claims: { sub: '*' } } })
  const found = (await who(await token({ sub: 'a\u001b[31m\u202eb\n' }))) as Caller
  expect(found.details?.['subject']).toBe('a\\u{1b}[31m\\u{202e}b\\u{a}')
})

test('a key that the issuer withdraws takes along what it has signed, known tokens included', async () => {
  const { told, token, references } = scene()
  const text = await token()
  expect(await told(text)).toBe('job')
  references.changeFile(jwksOf(await makeSigningKey('ES256', signer.kid)))
  expect(await told(text)).toMatch(/signature is wrong/)
  references.changeFile(jwksOf(await makeSigningKey('ES256', 'next')))
  expect(await told(text)).toMatch(/a key that the issuer does not have/)
  references.changeFile(jwksOf(signer))
  expect(await told(text)).toBe('job')
})

test('keys that cannot be had judge nobody, and count as nobody’s failure', async () => {
  const { who, token, references } = scene()
  references.changeFile('broken')
  expect(await who(await token())).toMatchObject({ code: 'proof-unverifiable', isOurs: true, retryAfter: 5 })
})
