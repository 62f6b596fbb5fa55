import { createLocalJWKSet, jwtVerify } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildSupply, sourceSettings } from '../../src/credentials/registry.ts'
import { type RunningAuthorizationServer, startAuthorizationServer } from '../support/authorization-server.ts'
import { type Authority, makeAuthority } from '../support/certificates.ts'
import { loopback, makeSourceTools } from '../support/source-tools.ts'

const RESOURCE = 'https://api.test/crm'
const AWKWARD = 'p:a+s%s w/ø'.replace('ø', '~-_.')

let authority: Authority
let server: RunningAuthorizationServer

beforeAll(async () => {
  authority = await makeAuthority()
  server = await startAuthorizationServer({
    authority,
    resource: RESOURCE,
    lifetime: 900,
    clients: [
      { id: 'by-header', secret: AWKWARD },
      { id: 'by-body', secret: AWKWARD, clientAuth: 'body' },
    ],
  })
})

afterAll(() => server.stop())

function build(changes: object = {}, secret = AWKWARD) {
  const made = makeSourceTools({ secret, ca: authority.certPem })
  made.clock.jumpWall(Date.now() - made.clock.now())
  const settings = sourceSettings.parse({
    kind: 'client-credentials',
    tokenEndpoint: server.tokenEndpoint,
    clientId: 'by-header',
    clientSecret: { file: 'secrets/crm' },
    scope: 'read',
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
    ...changes,
  })
  return { ...made, supply: buildSupply(settings, made.tools) }
}

test.each([
  ['in the header', {}],
  ['in the body', { clientId: 'by-body', clientAuth: 'body' }],
  ['found by discovery', { discovered: true }],
])(
  'a real server mints a token that its own keys verify: secret %s',
  async (_how, { discovered, ...changes }: Wish) => {
    const { supply } = build(discovered ? { tokenEndpoint: undefined, issuer: server.issuer } : changes)
    const credential = await supply.obtain()
    const keys = createLocalJWKSet(JSON.parse(await server.get('/jwks')))
    const { payload } = await jwtVerify(credential?.secret.reveal() ?? '', keys, {
      audience: RESOURCE,
      issuer: server.issuer,
    })
    expect(payload).toMatchObject({ scope: 'read' })
    expect(Math.abs((credential?.expiresAt ?? 0) - Number(payload.exp) * 1000)).toBeLessThan(5_000)
  },
)

interface Wish {
  readonly discovered?: boolean
  readonly clientId?: string
  readonly clientAuth?: string
}

test('d.0: a resource it knows is granted, another one is a lasting failure', async () => {
  const { supply } = build({ tokenParams: { resource: RESOURCE } })
  expect(await supply.obtain()).toMatchObject({ generation: 1 })
  const refused = build({ tokenParams: { resource: 'https://other.test' } })
  await expect(refused.supply.obtain()).rejects.toMatchObject({ code: 'credential-failed', retryAfter: undefined })
})

test.each([
  ['a wrong secret', {}, 'wrong', /answered 401 invalid_client: compare clientId,/],
  [
    'both ways at once',
    { clientAuth: 'header-and-body' },
    AWKWARD,
    /answered 400 invalid_request: compare clientAuth,/,
  ],
  [
    'a raw header where it decodes',
    { basicEncoding: 'raw' },
    AWKWARD,
    /answered 40[01] invalid_(request|client): compare /,
  ],
])('J07: a strict server refuses %s, and is asked once', async (_what, changes, secret, reason) => {
  const { supply, events } = build(changes, secret)
  const before = await server.tokenRequests()
  for (let i = 0; i < 5; i += 1) {
    await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-failed' })
  }
  expect(events[0]).toMatchObject({ problem: { reason: expect.stringMatching(reason) } })
  expect(await server.tokenRequests()).toBe(before + 1)
})

test('a rotated secret mends it at once', async () => {
  const { supply, rotate } = build({}, 'wrong')
  await expect(supply.obtain()).rejects.toMatchObject({ code: 'credential-failed' })
  rotate(AWKWARD)
  expect(await supply.obtain()).toMatchObject({ generation: 1 })
})
