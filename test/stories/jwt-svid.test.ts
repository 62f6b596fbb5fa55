import { webcrypto } from 'node:crypto'
import { exportJWK, SignJWT } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import { eventually, type Running, startSallyport, writeSecret } from '../support/sallyport.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'
import { authority, CREDENTIAL, connectionTo, crmDirectory, crmSettings, doorOf, stopCrm } from './crm.ts'

let upstream: RawUpstream
let running: Running
let sign: (claims?: object) => Promise<string>

beforeAll(async () => {
  upstream = await startUpstream(undefined, await authority.issue(['api.crm.test', 'none.test']))
  const pair = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
  sign = (claims = {}) =>
    new SignJWT({
      sub: 'spiffe://prod.test/web',
      aud: 'sallyport',
      exp: Math.floor(Date.now() / 1000) + 300,
      ...claims,
    })
      .setProtectedHeader({ alg: 'ES256', kid: 'one', typ: 'JWT' })
      .sign(pair.privateKey)
  const directory = crmDirectory()
  const keys = [{ ...(await exportJWK(pair.publicKey)), kid: 'one', use: 'jwt-svid' }]
  writeSecret(directory, 'prod.json', JSON.stringify({ spiffe_sequence: 1, keys }))
  const settings = crmSettings({
    port: upstream.port,
    settings: {
      listeners: [
        { kind: 'forward', listen: '127.0.0.1:0' },
        { kind: 'reverse', listen: '127.0.0.1:0' },
      ],
      allowlist: ['*.test'],
      callers: {
        web: {
          kind: 'spiffe',
          ids: ['spiffe://prod.test/web'],
          bundles: { 'prod.test': { file: 'prod.json' } },
          audience: 'sallyport',
        },
      },
      connections: {
        crm: connectionTo('api.crm.test', upstream.port),
        none: connectionTo('none.test', upstream.port, { credential: { kind: 'none' } }),
      },
      grants: [
        { caller: 'web', connection: 'crm' },
        { caller: 'web', connection: 'none' },
      ],
      dns: { hosts: { 'api.crm.test': ['127.0.0.1'], 'none.test': ['127.0.0.1'] } },
    },
  })
  running = await startSallyport(directory, settings)
})

afterAll(async () => {
  await stopCrm(running)
  await upstream?.close()
})

const OK = /\r\n\r\nok$/

test('a JWT-SVID stands where a key would: Bearer, the password of a proxy URL, Authorization at a reverse door', async () => {
  const token = await sign()
  const basic = Buffer.from(`web:${token}`).toString('base64')
  for (const proof of [`Bearer ${token}`, `Basic ${basic}`]) {
    const head = `GET http://api.crm.test/forward HTTP/1.1\r\nHost: api.crm.test\r\nProxy-Authorization: ${proof}\r\n\r\n`
    expect((await sendRaw(doorOf(running, 'forward'), head, { until: OK })).status).toBe(200)
  }
  for (const path of ['/crm/x', '/none/x']) {
    const head = `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`
    expect((await sendRaw(doorOf(running, 'reverse'), head, { until: OK })).status).toBe(200)
  }
  expect(upstream.bytes()).toContain(`Authorization: Bearer ${CREDENTIAL}`)
  expect(upstream.bytes()).not.toContain(token)
  expect(running.output()).not.toContain(token)
})

test('the record has the SPIFFE ID, and nothing of the token', async () => {
  const entries = await running.audit(1)
  expect(entries[0]).toMatchObject({
    caller: 'web',
    proof: 'spiffe',
    details: { spiffeId: 'spiffe://prod.test/web', svid: 'jwt' },
  })
  expect(JSON.stringify(entries)).not.toContain('eyJ')
})

test('one for somebody else is refused, and the record says why', async () => {
  const token = await sign({ aud: 'another' })
  const head = `GET http://api.crm.test/other HTTP/1.1\r\nHost: api.crm.test\r\nProxy-Authorization: Bearer ${token}\r\n\r\n`
  const { status, text } = await sendRaw(doorOf(running, 'forward'), head, { until: WHOLE_ANSWER })
  expect([status, text.includes('Proxy-Authenticate: Basic')]).toEqual([407, true])
  const entry = await eventually(async () => (await running.audit(1)).find(({ path }) => path === '/other'), 'an entry')
  expect(entry['reason']).toBe('the JWT-SVID proves nobody: its aud is not right')
})
