import { createHmac, createPublicKey } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type ProblemCode, problems } from '../../src/core/problems.ts'
import { makeAuthority } from '../support/certificates.ts'
import { type QuirkIssuer, startQuirkIssuer } from '../support/quirk-issuer.ts'
import { sendRaw } from '../support/raw-client.ts'
import { eventually, writeSecret } from '../support/sallyport.ts'
import { claimsAt, forgeToken, jwksOf, makeSigningKey, type SigningKey, signToken } from '../support/tokens.ts'
import { besiege, CARRIERS, type Carrier, type Siege, type Sight } from './siege.ts'

/** Section H of the catalogue, for tokens: an issuer of ours over real TLS, found by discovery. Ids are the catalogue's. */
const rsa = await makeSigningKey('RS256', 'rsa')
const ec = await makeSigningKey('ES256', 'ec')
const stranger = await makeSigningKey('RS256', 'rsa')

let issuer: QuirkIssuer
let siege: Siege
let published: readonly SigningKey[] = [rsa, ec]

beforeAll(async () => {
  const authority = await makeAuthority()
  issuer = await startQuirkIssuer(await authority.issue(['issuer.test']))
  issuer.answer(({ target }) => {
    if (target === '/.well-known/openid-configuration') return { body: { issuer: iss(), jwks_uri: `${iss()}/keys` } }
    return target === '/keys' ? { body: jwksOf(...published) } : { status: 404 }
  })
  siege = await besiege({
    settings({ directory, connection }) {
      writeSecret(directory, 'issuer.pem', authority.certPem)
      const token = {
        kind: 'jwt',
        issuer: iss(),
        audience: 'sallyport',
        tls: { ca: { file: 'issuer.pem' } },
        allowPrivate: ['127.0.0.0/8'],
      }
      return {
        hosts: { 'issuer.test': ['127.0.0.1'] },
        callers: {
          job: { ...token, claims: { sub: 'job' }, keysRefreshMs: 1_000 },
          made: { ...token, claims: { org: 'acme' }, name: 'ci/{sub}', keysRefreshMs: 1_000 },
          scoped: {
            ...token,
            claims: { sub: 'scoped' },
            scopes: { read: { methods: ['GET'], paths: ['/v1/*'] } },
            keysRefreshMs: 1_000,
          },
        },
        connections: {
          keyed: connection('keyed', ['query.test'], { inject: { kind: 'header', name: 'X-Api-Key' } }),
          plain: connection('plain', ['none.test'], { credential: { kind: 'none' } }),
        },
        grants: ['job', 'scoped', 'ci/test'].flatMap((caller) => [
          { caller, connection: 'api' },
          { caller, connection: 'keyed' },
          { caller, connection: 'plain' },
        ]),
      }
    },
  })
})

afterAll(async () => {
  await siege?.end()
  await issuer?.stop()
})

function iss(): string {
  return `https://issuer.test:${issuer.port}`
}

function claims(changes: object = {}): object {
  return claimsAt(Date.now(), { iss: iss(), aud: 'sallyport', sub: 'job', ...changes })
}

const ANSWERED = { until: /\r\n\r\n[\s\S]*(?:ok|\}\n)$/ }

/** A request with this token where the proof belongs. */
function knock(carrier: Carrier, token: string, { method = 'GET', path = '/', fields = '' } = {}): Promise<Sight> {
  const isForward = carrier === 'forward'
  const proof = `${isForward ? 'Proxy-Authorization' : 'Authorization'}: Bearer ${token}`
  const target = isForward ? `http://api.test${path}` : path
  const head = `${method} ${target} HTTP/1.1\r\nHost: localhost\r\n${proof}\r\n${fields}\r\n`
  return siege.attack(siege.address(carrier), head, ANSWERED)
}

async function expectServed(sight: Promise<Sight>, token: string): Promise<void> {
  const { status, text, requests, sent } = await sight
  expect(status, text).toBe(200)
  expect(requests).toHaveLength(1)
  expect(sent).not.toContain(token)
}

/** A challenge, a stable code, the same words whatever was wrong; nothing went up. */
async function expectRejected(
  attack: Promise<Sight>,
  carrier: Carrier,
  code: ProblemCode = 'token-rejected',
): Promise<void> {
  const { status, text, sent } = await attack
  expect([status, sent], text).toEqual([carrier === 'forward' ? 407 : 401, ''])
  expect(JSON.parse(text.split('\r\n\r\n')[1] ?? '')).toMatchObject({ code, detail: problems[code].remedy })
  expect(text).toMatch(carrier === 'forward' ? /^Proxy-Authenticate: Basic /m : /^WWW-Authenticate: Bearer /m)
}

/** An HMAC with what everybody knows: the issuer's public key, in each form that a careless verifier might take. */
function confused(secret: string | Buffer): string {
  const unsigned = forgeToken({ alg: 'HS256', kid: 'rsa', typ: 'JWT' }, claims()).replace(/\.$/, '')
  return `${unsigned}.${createHmac('sha256', secret).update(unsigned).digest('base64url')}`
}

function publicPem(type: 'spki' | 'pkcs1'): string {
  return createPublicKey({ key: { ...rsa.jwk }, format: 'jwk' }).export({ type, format: 'pem' })
}

const forgeries: readonly (readonly [string, () => string | Promise<string>])[] = [
  ['nobody has signed', () => forgeToken({ alg: 'none' }, claims())],
  ['says None', () => forgeToken({ alg: 'None', kid: 'rsa' }, claims())],
  ['says NONE, with a signature', () => forgeToken({ alg: 'NONE', kid: 'rsa' }, claims(), 'AAAA')],
  ['has an empty signature', () => forgeToken({ alg: 'RS256', kid: 'rsa' }, claims())],
  ['was signed with the public key as a secret', () => confused(publicPem('spki'))],
  ['was signed with the public key as a secret, in another form', () => confused(publicPem('pkcs1'))],
  ['was signed with the JWK as a secret', () => confused(JSON.stringify(rsa.jwk))],
  ['was signed with the modulus as a secret', () => confused(Buffer.from(rsa.jwk.n ?? '', 'base64url'))],
  ['was signed with nothing as a secret', () => confused('')],
  ['was signed by somebody else under the same kid', () => signToken(stranger, claims())],
  ['brings its own key', () => signToken(stranger, claims(), { jwk: stranger.jwk })],
  ['says where its key is', () => signToken(stranger, claims(), { jku: `${iss()}/evil`, x5u: `${iss()}/evil` })],
  ['brings a certificate', () => signToken(stranger, claims(), { x5c: ['AAAA'], 'x5t#S256': 'AAAA' })],
  ['names the key of another algorithm', () => signToken(rsa, claims(), { kid: 'ec' })],
  ['has a path for a kid', () => signToken(stranger, claims(), { kid: '../../../dev/null' })],
  ['has a URL for a kid', () => signToken(stranger, claims(), { kid: `${iss()}/evil` })],
  ['has a query for a kid', () => signToken(stranger, claims(), { kid: "' UNION SELECT 'AAAA" })],
  ['has a number for a kid', () => forgeToken({ alg: 'RS256', kid: 7 }, claims(), 'AAAA')],
  [
    'asks for an extension',
    () => forgeToken({ alg: 'RS256', kid: 'rsa', crit: ['b64'], b64: false }, claims(), 'AAAA'),
  ],
  ['is a logout token', () => signToken(rsa, claims(), { typ: 'logout+jwt' })],
  ['is for another audience', () => signToken(rsa, claims({ aud: 'other' }))],
  ['is for nobody', () => signToken(rsa, claims({ aud: [] }))],
  ['is for a list with a number', () => signToken(rsa, claims({ aud: ['sallyport', 1] }))],
  ['has no end', () => signToken(rsa, claims({ exp: undefined }))],
  ['has a text for its end', () => signToken(rsa, claims({ exp: '9999999999' }))],
  [
    'has no end of numbers for its end',
    () => signToken(rsa, JSON.stringify(claims()).replace(/"exp":\d+/, '"exp":1e999')),
  ],
  ['H03 has ended', () => signToken(rsa, claims({ exp: Date.now() / 1000 - 61 }))],
  ['H03 has not begun', () => signToken(rsa, claims({ nbf: Date.now() / 1000 + 120 }))],
  ['H03 comes from the future', () => signToken(rsa, claims({ iat: Date.now() / 1000 + 120 }))],
  ['names its subject twice', () => signToken(rsa, JSON.stringify(claims()).replace('{', '{"sub":"boss",'))],
  [
    'names its audience twice',
    () => signToken(rsa, JSON.stringify(claims({ aud: 'other' })).replace('{', '{"aud":"sallyport",')),
  ],
  [
    'hides a subject in a prototype',
    () => signToken(rsa, JSON.stringify(claims({ sub: undefined })).replace('{', '{"__proto__":{"sub":"job"},')),
  ],
  ['is of an issuer with another slash', () => signToken(rsa, claims({ iss: `${iss()}/` }))],
  ['is of an issuer in capitals', () => signToken(rsa, claims({ iss: iss().toUpperCase() }))],
  ['makes the name of a key’s owner', () => signToken(rsa, claims({ sub: '../alpha', org: 'acme' }))],
  ['makes a name that climbs', () => signToken(rsa, claims({ sub: 'x/../test', org: 'acme' }))],
  ['makes a name with a line feed', () => signToken(rsa, claims({ sub: 'test\n', org: 'acme' }))],
  ['makes a name of look-alikes', () => signToken(rsa, claims({ sub: 'tеst', org: 'acme' }))],
]

describe.each(CARRIERS)('%s', (carrier) => {
  beforeEach(() => {
    published = [rsa, ec]
  })

  test('a token is good, also in a list of audiences, and never seen upstream', async () => {
    for (const signer of [rsa, ec]) {
      const token = await signToken(signer, claims({ aud: ['other', 'sallyport'] }))
      await expectServed(knock(carrier, token), token)
    }
  })

  test('a token is good as the password of Basic, beside whatever user name is not another caller’s', async () => {
    const token = await signToken(rsa, claims())
    const field = carrier === 'forward' ? 'Proxy-Authorization' : 'Authorization'
    const target = carrier === 'forward' ? 'http://api.test/' : '/'
    const ask = (user: string) => {
      const basic = Buffer.from(`${user}:${token}`).toString('base64')
      return siege.attack(
        siege.address(carrier),
        `GET ${target} HTTP/1.1\r\nHost: localhost\r\n${field}: Basic ${basic}\r\n\r\n`,
        ANSWERED,
      )
    }
    for (const user of ['job', 'oauth2accesstoken', 'x', '__proto__']) await expectServed(ask(user), token)
    // A reverse door reads no user names: there they are whatever an SDK has.
    if (carrier === 'forward') await expectRejected(ask('alpha'), carrier, 'caller-unknown')
  })

  test.each(forgeries)('H02 a token that %s proves nobody', async (_what, make) => {
    await expectRejected(knock(carrier, await make()), carrier)
  })

  test('H02 a token that was cut, or mended, proves nobody', async () => {
    const token = await signToken(ec, claims())
    const [header = '', body = '', signature = ''] = token.split('.')
    const rejected = [
      `${header}.${body}.${signature.slice(0, -8)}`,
      `${header}.${body}.`,
      `${header}.${body}.${signature}AAAA`,
    ]
    for (const text of rejected) await expectRejected(knock(carrier, text), carrier)
    const none = [
      `${header}.${body}`,
      `${token}.${signature}`,
      `${token}=`,
      `.${body}.${signature}`,
      `${header}..${signature}`,
    ]
    for (const text of none) await expectRejected(knock(carrier, text), carrier, 'caller-unknown')
  })

  test('H02 a token that is all of a head is read, and one that is more does not fit', async () => {
    const token = await signToken(rsa, claims({ padding: 'x'.repeat(10_000) }))
    await expectServed(knock(carrier, token), token)
    const { status, sent } = await knock(carrier, await signToken(rsa, claims({ padding: 'x'.repeat(14_000) })))
    expect([status, sent]).toEqual([431, ''])
  })

  test('H02 two tokens, or a token and a key, are none', async () => {
    const token = await signToken(rsa, claims())
    const field = carrier === 'forward' ? 'Proxy-Authorization' : 'Authorization'
    for (const other of [token, siege.keys.alpha]) {
      await expectRejected(
        knock(carrier, token, { fields: `${field}: Bearer ${other}\r\n` }),
        carrier,
        'caller-unknown',
      )
    }
  })

  test('H04 a scope covers no more than it says, whatever was granted', async () => {
    const read = await signToken(rsa, claims({ sub: 'scoped', scope: 'read' }))
    await expectServed(knock(carrier, read, { path: '/v1/a' }), read)
    const beyond = [
      { path: '/v2/a' },
      { path: '/v1/a/b' },
      { path: '/v1/../v2' },
      { method: 'POST', path: '/v1/a', fields: 'Content-Length: 0\r\n' },
      { path: '/v1/a', token: await signToken(rsa, claims({ sub: 'scoped' })) },
      { path: '/v1/a', token: await signToken(rsa, claims({ sub: 'scoped', scope: 'READ write' })) },
      { path: '/v1/a', token: await signToken(rsa, claims({ sub: 'scoped', scope: { read: true } })) },
    ]
    for (const { token = read, ...request } of beyond) {
      const { status, text, sent } = await knock(carrier, token, request)
      expect([status, sent], JSON.stringify(request)).toEqual([403, ''])
      expect(text).toContain('"scope-insufficient"')
    }
  })

  test('a name made of claims has the grants of that name, and no other', async () => {
    const token = (sub: string) => signToken(rsa, claims({ sub, org: 'acme' }))
    const granted = await token('test')
    await expectServed(knock(carrier, granted), granted)
    const { status, text } = await knock(carrier, await token('other'))
    expect(status).toBe(403)
    expect(text).toContain('"grant-missing"')
  })
})

test('H05 at the forward door a token in Authorization, the query or a cookie is none', async () => {
  const token = await signToken(rsa, claims())
  const places = [
    ['/', `Authorization: Bearer ${token}\r\n`],
    [`/?access_token=${token}`, ''],
    ['/', `Cookie: token=${token}\r\n`],
  ]
  for (const [path = '', fields = ''] of places) {
    const head = `GET http://api.test${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`
    await expectRejected(siege.attack(siege.forward, head, ANSWERED), 'forward', 'caller-unknown')
  }
})

test('H06 a token in the place of the upstream’s own key is replaced there', async () => {
  const token = await signToken(rsa, claims())
  const head = `GET /keyed/a HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: ${token}\r\n\r\n`
  await expectServed(siege.attack(siege.port, head, ANSWERED), token)
})

test('H06 a token stays here where nothing is injected, too', async () => {
  const token = await signToken(rsa, claims())
  for (const proof of [`Bearer ${token}`, `Basic ${Buffer.from(`x:${token}`).toString('base64')}`]) {
    const head = `GET /plain/a HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${proof}\r\n\r\n`
    const { status, requests, sent } = await siege.attack(siege.port, head, ANSWERED)
    expect([status, requests.length]).toEqual([200, 1])
    expect(sent).not.toMatch(/^authorization:/im)
  }
})

test('nothing but keys was asked of the issuer, whatever tokens pointed to', () => {
  const targets = new Set(issuer.requests.map(({ target }) => target))
  expect(targets).toEqual(new Set(['/.well-known/openid-configuration', '/keys']))
})

describe('keys that change', () => {
  test('a new key is good as soon as keys are looked at again, whatever kids were tried before', async () => {
    const next = await makeSigningKey('ES256', 'next')
    published = [rsa, ec, next]
    const token = await signToken(next, claims())
    await eventually(async () => (await knock('forward', token)).status === 200 || undefined, 'the new key to be known')
  })

  test('H03 a key that was withdrawn is good no longer than keysRefreshMs, known tokens included', async () => {
    const token = await signToken(ec, claims())
    published = [rsa, ec]
    await expectServed(knock('forward', token), token)
    published = [rsa]
    const since = Date.now()
    while ((await knock('forward', token)).status === 200) expect(Date.now() - since).toBeLessThan(10_000)
    await expectRejected(knock('forward', token), 'forward')
    published = [rsa, ec]
  })
})

test('H15 a flood of forgeries is told so, asks nothing of the issuer, and keeps nobody else out', async () => {
  const known = await signToken(rsa, claims({ jti: 'known' }))
  await expectServed(knock('forward', known), known)
  const before = issuer.requests.length
  const since = Date.now()
  const ask = (token: string) =>
    `GET http://api.test/ HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Bearer ${token}\r\n\r\n`
  const forgery = (at: number) => forgeToken({ alg: 'RS256', kid: `evil-${at}` }, claims({ jti: at }), 'AAAA')
  const flood = sendRaw(siege.forward, Array.from({ length: 6_000 }, (_, at) => ask(forgery(at))).join(''), {
    until: /"too-many-failures"/,
    deadlineMs: 45_000,
  })
  const honest = async () => (await sendRaw(siege.forward, ask(known), { until: /ok$|\}\n$/ })).status
  const served = await Promise.all([honest(), flood.then(honest)])
  expect((await flood).text).toMatch(/HTTP\/1\.1 429 [\s\S]*\r\nRetry-After: 1\r\n[\s\S]*"too-many-failures"/)
  expect(served).toEqual([200, 200])
  // Two requests for each look: of unknown kids one in ten seconds, of age one a second.
  const seconds = (Date.now() - since) / 1000
  expect(issuer.requests.length - before).toBeLessThanOrEqual(2 * (2 + seconds / 0.8))
})

test('why a token proved nobody is in the audit, and no token is in anything that was printed', async () => {
  const entries = await siege.sallyport.audit(1)
  const reasons = entries.filter(({ code }) => code === 'token-rejected').map(({ reason }) => String(reason))
  for (const words of [
    /algorithm/,
    /signature is wrong/,
    /another audience/,
    /has expired/,
    /extension/,
    /no caller names/,
  ])
    expect(
      reasons.some((reason) => words.test(reason)),
      String(words),
    ).toBe(true)
  const served = entries.find(({ caller }) => caller === 'ci/test')
  expect(served).toMatchObject({ proof: 'jwt', details: { issuer: iss(), subject: 'test' } })
  expect(siege.sallyport.output() + JSON.stringify(entries)).not.toMatch(/eyJ[\w-]{10,}\.eyJ/)
})
