import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { type RunningAuthorizationServer, startAuthorizationServer } from '../support/authorization-server.ts'
import { type FakeApiServer, startFakeApiServer } from '../support/fake-api-server.ts'
import { type QuirkIssuer, startQuirkIssuer } from '../support/quirk-issuer.ts'
import { type RawAnswer, sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import { eventually, type Running, startSallyport, writeSecret } from '../support/sallyport.ts'
import { claimsAt, jwksOf, makeSigningKey, signToken } from '../support/tokens.ts'
import { openTunnel, talk } from '../support/tunnel.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'
import { authority, CREDENTIAL, crmDirectory, crmSettings, doorOf, stopCrm } from './crm.ts'

const MACHINE = { id: 'machine', secret: 'the-secret-of-machine' }
/** A resource indicator is a URL; any text would do for us. */
const AUDIENCE = 'https://sallyport.test'
const first = await makeSigningKey('ES256', 'first')
const second = await makeSigningKey('ES256', 'second')

let upstream: RawUpstream
/** A real authorization server, an issuer that does as it is told, and a fake cluster. */
let oidc: RunningAuthorizationServer
let issuer: QuirkIssuer
let api: FakeApiServer
let sallyport: Running
let published = jwksOf(first)

beforeAll(async () => {
  upstream = await startUpstream(undefined, await authority.issue(['api.crm.test']))
  oidc = await startAuthorizationServer({ authority, clients: [MACHINE], host: 'oidc.test', resource: AUDIENCE })
  issuer = await startQuirkIssuer(await authority.issue(['ci.test']))
  issuer.answer(({ target }) => {
    if (target === '/.well-known/openid-configuration') return { body: { issuer: ci(), jwks_uri: `${ci()}/keys` } }
    return target === '/keys' ? { body: published } : { status: 404 }
  })
  api = await startFakeApiServer(await authority.issue(['api.cluster.test']), 'api.cluster.test')
  api.admit('own-token')
  const directory = crmDirectory()
  writeSecret(directory, 'own', 'own-token')
  sallyport = await startSallyport(directory, crmSettings({ port: upstream.port, settings: settings() }))
})

afterAll(async () => {
  await stopCrm(sallyport)
  await oidc?.stop()
  await issuer?.stop()
  await api?.stop()
  await upstream?.close()
})

function ci(): string {
  return `https://ci.test:${issuer.port}`
}

function settings(): object {
  const reached = { tls: { ca: { file: 'ca.pem' } }, allowPrivate: ['127.0.0.0/8'], audience: AUDIENCE }
  const read = { connections: ['crm'], methods: ['GET'] }
  return {
    callers: {
      checkout: { kind: 'api-key', key: { file: 'checkout' } },
      machines: { kind: 'jwt', issuer: oidc.issuer, name: 'oidc/{client_id}', scopes: { read }, ...reached },
      builds: {
        kind: 'jwt',
        issuer: ci(),
        claims: { org: 'acme' },
        name: 'ci/{repository}',
        groups: { claim: 'teams' },
        ...reached,
      },
      cluster: { kind: 'kubernetes', apiServer: api.url, token: { file: 'own' }, namespaces: ['shop'], ...reached },
    },
    grants: [
      { caller: 'oidc/machine', connection: 'crm' },
      { group: 'shipping', connection: 'crm' },
      { caller: 'shop/checkout', connection: 'crm' },
    ],
    dns: {
      hosts: Object.fromEntries(
        ['api.crm.test', 'oidc.test', 'ci.test', 'api.cluster.test'].map((host) => [host, ['127.0.0.1']]),
      ),
    },
  }
}

function ask(token: string, { method = 'GET', path = '/v1' } = {}): Promise<RawAnswer> {
  const proof = `Proxy-Authorization: Basic ${Buffer.from(`token:${token}`).toString('base64')}\r\n`
  const head = `${method} http://api.crm.test${path} HTTP/1.1\r\nHost: api.crm.test\r\nContent-Length: 0\r\n${proof}\r\n`
  return sendRaw(doorOf(sallyport, 'forward'), head, { until: WHOLE_ANSWER })
}

/** A token that the real authorization server gives to `machine`. */
async function mint(scope: string): Promise<string> {
  const body = new URLSearchParams({ grant_type: 'client_credentials', scope }).toString()
  const headers = {
    authorization: `Basic ${Buffer.from(`${MACHINE.id}:${MACHINE.secret}`).toString('base64')}`,
    'content-type': 'application/x-www-form-urlencoded',
    host: `oidc.test:${oidc.port}`,
  }
  const route = { host: '127.0.0.1', port: oidc.port, servername: 'oidc.test', ca: authority.certPem }
  const asked = request({ ...route, method: 'POST', path: '/token', headers, agent: false }).end(body)
  const [response]: IncomingMessage[] = await once(asked, 'response')
  return JSON.parse(response ? await text(response) : '{}').access_token
}

function build(signer: typeof first, claims: object = {}): Promise<string> {
  const usual = {
    iss: ci(),
    aud: AUDIENCE,
    sub: 'repo:acme/shop',
    org: 'acme',
    repository: 'acme/shop',
    teams: ['shipping'],
  }
  return signToken(signer, claimsAt(Date.now(), { ...usual, ...claims }))
}

/** The entry of the one request for this path: it is written after the answer. */
function entryOf(path: string): Promise<Record<string, unknown>> {
  const look = async () => (await sallyport.audit(1)).find((entry) => entry['path'] === path)
  return eventually(look, `the entry of ${path}`)
}

test('a token of a real authorization server proves its client, found by discovery; upstream sees the credential alone', async () => {
  const token = await mint('read')
  const { status, text: answer } = await ask(token, { path: '/oidc' })
  expect(status, answer).toBe(200)
  expect(upstream.bytes()).toContain(CREDENTIAL)
  expect(upstream.bytes()).not.toContain(token)
  expect(await entryOf('/oidc')).toMatchObject({
    caller: 'oidc/machine',
    proof: 'jwt',
    grant: 'grants[0]',
    details: { issuer: oidc.issuer, subject: 'machine' },
  })
})

test('its scope is a ceiling over what was granted', async () => {
  const read = await mint('read')
  expect((await ask(read, { method: 'POST' })).text).toContain('"scope-insufficient"')
  expect((await ask(await mint('write'))).text).toContain('"scope-insufficient"')
  expect((await ask(read)).status).toBe(200)
})

test('a token is judged for the passage and at each request of a tunnel', async () => {
  const token = await mint('read')
  const fields = `Proxy-Authorization: Bearer ${token}\r\n`
  const { socket, status } = await openTunnel(doorOf(sallyport, 'forward'), 'api.crm.test:80', { fields })
  onTestFinished(() => void socket.destroy())
  expect(status).toBe(200)
  const one = (method: string) => `${method} /in-a-tunnel HTTP/1.1\r\nHost: api.crm.test\r\nContent-Length: 0\r\n\r\n`
  expect((await talk(socket, one('GET'), WHOLE_ANSWER)).text).toMatch(/^HTTP\/1\.1 200 /)
  expect((await talk(socket, one('POST'), WHOLE_ANSWER)).text).toContain('"scope-insufficient"')
})

test('groups of a token have the grants of the group', async () => {
  expect((await ask(await build(first), { path: '/groups' })).status).toBe(200)
  expect(await entryOf('/groups')).toMatchObject({ caller: 'ci/acme/shop', grant: 'grants[1]' })
  expect((await ask(await build(first, { teams: ['billing'] }))).text).toContain('"grant-missing"')
})

test('a key that the issuer has only now is good at once', async () => {
  expect((await ask(await build(first))).status).toBe(200)
  const fetched = () => issuer.requests.filter(({ target }) => target === '/keys').length
  const before = fetched()
  published = jwksOf(first, second)
  expect((await ask(await build(second))).status).toBe(200)
  expect((await ask(await build(second, { jti: 'another' }))).status).toBe(200)
  expect(fetched()).toBe(before + 1)
})

test('an issuer that is down keeps nobody out whose keys are known', async () => {
  const [known, unseen] = [await mint('read'), await mint('read')]
  expect((await ask(known)).status).toBe(200)
  await oidc.stop()
  expect([(await ask(known)).status, (await ask(unseen)).status]).toEqual([200, 200])
})

test('a pod is known by its cluster, and its record names pod and node', async () => {
  const claims = {
    iss: 'https://kubernetes.default.svc',
    aud: [AUDIENCE],
    sub: 'system:serviceaccount:shop:checkout',
    'kubernetes.io': {
      namespace: 'shop',
      serviceaccount: { name: 'checkout', uid: '1' },
      pod: { name: 'checkout-1', uid: '2' },
      node: { name: 'node-1', uid: '3' },
    },
  }
  const token = await signToken(second, claimsAt(Date.now(), claims))
  api.know(token, { username: claims.sub, audiences: claims.aud })
  expect((await ask(token, { path: '/pod' })).status).toBe(200)
  expect(await entryOf('/pod')).toMatchObject({
    caller: 'shop/checkout',
    proof: 'kubernetes',
    details: { pod: 'checkout-1', node: 'node-1' },
  })
  const stranger = await signToken(second, claimsAt(Date.now(), { ...claims, jti: 'unknown' }))
  expect((await ask(stranger)).text).toContain('"token-rejected"')
})

test('no token is in anything that was printed', async () => {
  const printed = sallyport.output() + JSON.stringify(await sallyport.audit(1))
  expect(printed).not.toMatch(/eyJ[\w-]{10,}\.eyJ/)
  expect(printed).not.toContain('own-token')
})
