import { decodeJwt } from 'jose'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { buildSupply, sourceSettings } from '../../src/credentials/registry.ts'
import { makeAuthority } from '../support/certificates.ts'
import {
  type Quirk,
  type QuirkIssuer,
  type RecordedRequest,
  startQuirkIssuer,
  tokenAnswer,
} from '../support/quirk-issuer.ts'
import { loopback, makeSourceTools } from '../support/source-tools.ts'

let ca: string
let issuer: QuirkIssuer
let from: number

beforeAll(async () => {
  const authority = await makeAuthority()
  ca = authority.certPem
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
})

beforeEach(() => {
  from = issuer.requests.length
})

afterAll(() => issuer.stop())

function build(more: object = {}) {
  const made = makeSourceTools({ secret: 'LT_CANARY', ca })
  const settings = sourceSettings.parse({
    kind: 'client-credentials',
    tokenEndpoint: `https://login.test:${issuer.port}/token?tenant=1`,
    clientId: 'my-app',
    clientSecret: { file: 'secrets/crm' },
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
    dpop: true,
    ...more,
  })
  return { ...made, supply: buildSupply(settings, made.tools) }
}

const proofs = () => issuer.requests.slice(from).map(proofOf)

function proofOf({ rawHeaders }: RecordedRequest) {
  const at = rawHeaders.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'dpop')
  return at === -1 ? undefined : decodeJwt(rawHeaders[at + 1] ?? '')
}

const bound = (nonce?: string): Quirk => {
  const { headers, ...rest } = tokenAnswer({ token_type: 'DPoP' })
  return { ...rest, headers: { ...headers, ...(nonce !== undefined && { 'dpop-nonce': nonce }) } }
}

const demand = (nonce?: string, status = 400): Quirk => ({
  status,
  headers: { 'content-type': 'application/json', ...(nonce !== undefined && { 'dpop-nonce': nonce }) },
  body: { error: 'use_dpop_nonce' },
})

async function outcomeOf({ supply }: ReturnType<typeof build>): Promise<string> {
  try {
    return (await supply.obtain())?.version ?? 'nothing'
  } catch (error) {
    return error instanceof Error ? error.message.replace(`:${issuer.port}`, '') : 'odd'
  }
}

test('a token is asked for with a proof, and comes with the key that it is bound to', async () => {
  issuer.answer(bound())
  const { supply } = build()
  const credential = await supply.obtain()
  expect(proofs()).toMatchObject([{ htm: 'POST', htu: `https://login.test:${issuer.port}/token` }])
  expect(proofs()[0]).not.toHaveProperty('ath')
  expect(credential?.boundTo?.prove({ method: 'GET', url: 'https://api.test' })).toMatch(/^ey/)
})

test.each([400, 401])(
  'an issuer that answers %i for want of its nonce gets it, once, and in all proofs to come',
  async (status) => {
    const nonces = ['n-1', 'n-2']
    issuer.answer((request) =>
      proofOf(request)?.['nonce'] === nonces[0] ? bound(nonces[1]) : demand(nonces[0], status),
    )
    const { supply, clock } = build()
    await supply.obtain()
    expect(proofs().map((proof) => proof?.['nonce'])).toEqual([undefined, 'n-1'])
    nonces.shift()
    clock.advance(3_590_000)
    await supply.obtain()
    expect(proofs().map((proof) => proof?.['nonce'])).toEqual([undefined, 'n-1', 'n-2'])
  },
)

test('an issuer that always wants another nonce is asked twice, and no more', async () => {
  issuer.answer(() => demand(`n-${issuer.requests.length}`))
  expect(await outcomeOf(build())).toBe('credential-failed: login.test answered 400 use_dpop_nonce')
  expect(proofs()).toHaveLength(2)
})

test.each([undefined, 'not a nonce'])('one that wants a nonce and gives %j is asked once', async (nonce) => {
  issuer.answer(demand(nonce))
  expect(await outcomeOf(build())).toBe('credential-failed: login.test answered 400 use_dpop_nonce')
  expect(proofs()).toHaveLength(1)
})

test('a token that is bound to nothing is not used', async () => {
  issuer.answer(tokenAnswer())
  expect(await outcomeOf(build())).toBe('credential-failed: login.test sent a token_type that is not DPoP')
})

test('without dpop there is no proof, and a bound token is not used', async () => {
  issuer.answer(bound('n-1'))
  expect(await outcomeOf(build({ dpop: undefined }))).toBe(
    'credential-failed: login.test sent a token_type that is not Bearer',
  )
  expect(proofs()).toEqual([undefined])
})

test('a proof that the issuer does not take is told in words', async () => {
  issuer.answer({ status: 400, body: { error: 'invalid_dpop_proof', error_description: 'canary' } })
  expect(await outcomeOf(build())).toBe('credential-failed: login.test answered 400 invalid_dpop_proof')
})

test('an issuer whose metadata names other algorithms is not asked', async () => {
  issuer.answer(({ target }) => {
    const base = `https://login.test:${issuer.port}`
    const metadata = { issuer: base, token_endpoint: `${base}/token`, dpop_signing_alg_values_supported: ['ES384'] }
    return target.includes('.well-known')
      ? { body: metadata, headers: { 'content-type': 'application/json' } }
      : bound()
  })
  const discovered = { tokenEndpoint: undefined, issuer: `https://login.test:${issuer.port}` }
  expect(await outcomeOf(build(discovered))).toMatch(/takes no proofs that are signed with ES256: set dpop: \{ alg \}/)
  expect(issuer.requests.slice(from).filter(({ method }) => method === 'POST')).toEqual([])
  expect(await outcomeOf(build({ ...discovered, dpop: { alg: 'ES384' } }))).toBe('token 1')
})

test('two sources never have the same key', async () => {
  issuer.answer(bound())
  const keys = await Promise.all([build(), build()].map(async ({ supply }) => (await supply.obtain())?.boundTo))
  expect(keys[0]).not.toBe(keys[1])
})
