import { randomBytes } from 'node:crypto'
import { createRemoteJWKSet, customFetch, jwtVerify } from 'jose'
import { Agent, fetch } from 'undici'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RunningAuthorizationServer, startAuthorizationServer } from '../support/authorization-server.ts'
import { makeAuthority } from '../support/certificates.ts'
import { sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import { privateDirectory, type Running, remove, startSallyport, writeSecret } from '../support/sallyport.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'

/** The long-lived secret, known to nobody but the authorization server and the sidecar's file. */
const LONG_LIVED = `canary-${randomBytes(24).toString('hex')}`
const CALLER_KEY = `caller-${randomBytes(24).toString('hex')}`
const RESOURCE = 'https://api.crm.test'

let issuer: RunningAuthorizationServer
let upstream: RawUpstream
let sallyport: Running
let authorityPem: string

beforeAll(async () => {
  const authority = await makeAuthority()
  authorityPem = authority.certPem
  issuer = await startAuthorizationServer({
    authority,
    clients: [{ id: 'crm-client', secret: LONG_LIVED }],
    resource: RESOURCE,
    scope: 'contacts.read',
  })
  upstream = await startUpstream(undefined, await authority.issue(['api.crm.test']))
  const directory = privateDirectory()
  writeSecret(directory, 'crm', `${LONG_LIVED}\n`)
  writeSecret(directory, 'checkout', CALLER_KEY)
  writeSecret(directory, 'ca.pem', authorityPem)
  sallyport = await startSallyport(directory, {
    listeners: [
      { kind: 'forward', listen: '127.0.0.1:0' },
      { kind: 'reverse', listen: 'unix:crm.sock', connection: 'crm' },
      { kind: 'reverse', listen: '127.0.0.1:0' },
    ],
    admin: { listen: '127.0.0.1:0' },
    allowlist: ['api.crm.test'],
    callers: { checkout: { kind: 'api-key', key: { file: 'checkout' } } },
    connections: {
      crm: {
        hosts: ['api.crm.test'],
        port: upstream.port,
        tls: { ca: { file: 'ca.pem' } },
        allowPrivate: ['127.0.0.0/8'],
        credential: {
          kind: 'client-credentials',
          issuer: issuer.issuer,
          clientId: 'crm-client',
          clientSecret: { file: 'crm' },
          scope: 'contacts.read',
          tls: { ca: { file: 'ca.pem' } },
          allowPrivate: ['127.0.0.0/8'],
        },
        inject: { kind: 'bearer' },
      },
    },
    grants: [{ caller: 'checkout', connection: 'crm', rules: [{ methods: ['GET'], paths: ['/v1/contacts/*'] }] }],
    dns: { hosts: { 'api.crm.test': ['127.0.0.1'], 'login.test': ['127.0.0.1'] } },
  })
})

afterAll(async () => {
  await sallyport?.stop()
  await upstream?.close()
  await issuer?.stop()
  if (sallyport) remove(sallyport.directory)
})

const proof = `Proxy-Authorization: Basic ${Buffer.from(`checkout:${CALLER_KEY}`).toString('base64')}\r\n`

function forward(): string {
  return sallyport.doors[0]?.address ?? ''
}

/** The Authorization fields that the upstream has seen. */
function authorizations(): string[] {
  return upstream
    .heads()
    .flatMap((head) => [...head.matchAll(/^authorization: (.*)\r$/gim)].map((match) => match[1] ?? ''))
}

test('an app without a credential reaches the API with a token minted for it, at every door alike', async () => {
  const noise =
    'X-Foo: 1\r\nConnection: X-Foo, Authorization\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nAuthorization: Bearer mine\r\nauthorization: Bearer mine-too\r\nAuthoriZation_: x\r\n'
  const forwarded = await sendRaw(
    forward(),
    `GET http://api.crm.test/v1/contacts/7?q=a%20b HTTP/1.1\r\nHost: elsewhere.test\r\n${proof}${noise}\r\n`,
    { until: WHOLE_ANSWER },
  )
  expect(forwarded.status).toBe(200)
  const key = `Authorization: Bearer ${CALLER_KEY}\r\n`
  for (const [address, path] of [
    [sallyport.doors[1]?.address, '/v1/contacts/7'],
    [sallyport.doors[2]?.address, '/crm/v1/contacts/7'],
  ] as const) {
    const answer = await sendRaw(address ?? '', `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${key}\r\n`, {
      until: WHOLE_ANSWER,
    })
    expect(answer.status).toBe(200)
  }
  const heads = upstream.heads()
  expect(heads.map((head) => head.split('\r\n')[0])).toEqual([
    'GET /v1/contacts/7?q=a%20b HTTP/1.1',
    'GET /v1/contacts/7 HTTP/1.1',
    'GET /v1/contacts/7 HTTP/1.1',
  ])
  for (const head of heads) {
    expect(head.match(/^authorization/gim)).toHaveLength(1)
    expect(head).toMatch(new RegExp(`^host: api.crm.test:${upstream.port}\r$`, 'im'))
    expect(head).not.toMatch(/proxy-authorization|keep-alive: |^te:|x-foo|mine|elsewhere/im)
    expect(head).not.toContain(CALLER_KEY)
  }
  expect(await issuer.tokenRequests()).toBe(1)
})

test('the token is one that the API can verify by the issuer’s keys', async () => {
  const [authorization = ''] = authorizations()
  const dispatcher = new Agent({
    connect: { ca: authorityPem, lookup: (_name, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]) },
  })
  const keys = createRemoteJWKSet(new URL(issuer.jwksUri), {
    [customFetch]: (url: string, init: object) => fetch(url, { ...init, dispatcher }),
  })
  const { payload, protectedHeader } = await jwtVerify(authorization.replace('Bearer ', ''), keys, {
    issuer: issuer.issuer,
    audience: RESOURCE,
  })
  expect(payload['client_id']).toBe('crm-client')
  expect(payload['scope']).toBe('contacts.read')
  expect(protectedHeader.typ).toBe('at+jwt')
  await dispatcher.close()
})

test('the record tells who did what with which credential, and holds none', async () => {
  const [entry] = await sallyport.audit(3)
  expect(entry).toMatchObject({
    caller: 'checkout',
    proof: 'api-key',
    connection: 'crm',
    grant: 'grants[0]',
    rule: 0,
    method: 'GET',
    host: 'api.crm.test',
    path: '/v1/contacts/7',
    decision: 'permit',
    status: 200,
    ended: 'complete',
    bytesOut: 2,
    upstreamAddress: '127.0.0.1',
    credential: {
      source: 'client-credentials',
      version: 'token 1',
      fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/),
    },
  })
})

test('no secret is in any log line, answer, metric or header that a caller can see', async () => {
  const metrics = await (await fetch(`http://${sallyport.admin}/metrics`)).text()
  const readiness = await (await fetch(`http://${sallyport.admin}/readyz`)).text()
  const refusals = await Promise.all([
    sendRaw(forward(), `GET http://api.crm.test/v1/contacts/7 HTTP/1.1\r\nHost: a\r\n\r\n`, { until: WHOLE_ANSWER }),
    sendRaw(
      forward(),
      `POST http://api.crm.test/v1/contacts/7 HTTP/1.1\r\nHost: a\r\n${proof}Content-Length: 0\r\n\r\n`,
      { until: WHOLE_ANSWER },
    ),
    sendRaw(forward(), `GET http://evil.test/ HTTP/1.1\r\nHost: a\r\n${proof}\r\n`, { until: WHOLE_ANSWER }),
  ])
  expect(refusals.map(({ status }) => status)).toEqual([407, 403, 403])
  const audit = JSON.stringify(await sallyport.audit(6))
  const seen = [metrics, readiness, audit, sallyport.output(), ...refusals.map(({ text }) => text)].join('\n')
  const [token = ''] = authorizations().map((value) => value.replace('Bearer ', ''))
  expect(token.length).toBeGreaterThan(100)
  for (const secret of [LONG_LIVED, CALLER_KEY, token, token.split('.')[2] ?? '']) expect(seen).not.toContain(secret)
  expect(metrics).toMatch(/sallyport_requests_total\{door="forward",connection="crm",status="2xx"\} 1/)
  expect(metrics).toMatch(/sallyport_credential_expiry_timestamp_seconds\{connection="crm"\} \d+/)
  expect(JSON.parse(readiness).connections.crm).toMatchObject({ phase: 'fresh' })
})
