import { afterAll, beforeAll, expect, test } from 'vitest'
import { type QuirkIssuer, startQuirkIssuer } from '../support/quirk-issuer.ts'
import { sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import type { Running } from '../support/sallyport.ts'
import { claimsAt, jwksOf, makeSigningKey, signToken } from '../support/tokens.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'
import { authority, connectionTo, doorOf, startCrm, stopCrm } from './crm.ts'

const key = await makeSigningKey('ES256', 'first')

let upstream: RawUpstream
let issuer: QuirkIssuer
let sallyport: Running

beforeAll(async () => {
  upstream = await startUpstream(undefined, await authority.issue(['api.crm.test']))
  issuer = await startQuirkIssuer(await authority.issue(['idp.test']))
  const url = `https://idp.test:${issuer.port}`
  issuer.answer(({ target }) =>
    target === '/keys' ? { body: jwksOf(key) } : { body: { issuer: url, jwks_uri: `${url}/keys` } },
  )
  const reached = { tls: { ca: { file: 'ca.pem' } }, allowPrivate: ['127.0.0.0/8'] }
  const people = { kind: 'jwt', issuer: url, audience: 'us', claims: { org: 'acme' }, ...reached }
  const credential = { kind: 'passthrough-obo', audience: 'crm' }
  sallyport = await startCrm({
    port: upstream.port,
    settings: {
      callers: { people },
      connections: { crm: connectionTo('api.crm.test', upstream.port, { credential }) },
      grants: [{ caller: 'people', connection: 'crm' }],
      dns: { hosts: { 'api.crm.test': ['127.0.0.1'], 'idp.test': ['127.0.0.1'] } },
    },
  })
})

afterAll(async () => {
  await stopCrm(sallyport)
  await issuer?.stop()
  await upstream?.close()
})

async function ask(token: string): Promise<number> {
  const proof = `Proxy-Authorization: Basic ${Buffer.from(`token:${token}`).toString('base64')}\r\n`
  const head = `GET http://api.crm.test/ HTTP/1.1\r\nHost: api.crm.test\r\n${proof}\r\n`
  return (await sendRaw(doorOf(sallyport, 'forward'), head, { until: WHOLE_ANSWER })).status
}

test('people who go by the name of one caller never share a socket to the upstream', async () => {
  const tokenOf = (sub: string) =>
    signToken(
      key,
      claimsAt(Date.now(), { iss: `https://idp.test:${issuer.port}`, aud: ['us', 'crm'], org: 'acme', sub }),
    )
  const [ann, bob] = [await tokenOf('ann'), await tokenOf('bob')]
  for (const token of [ann, bob, ann, bob]) expect(await ask(token)).toBe(200)
  const whose = upstream.connections.map(({ bytes }) => [ann, bob].filter((token) => bytes.includes(token)).length)
  expect(whose).toEqual([1, 1])
})
