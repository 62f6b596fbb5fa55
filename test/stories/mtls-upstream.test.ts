import { hash, X509Certificate } from 'node:crypto'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RunningAuthorizationServer, startAuthorizationServer } from '../support/authorization-server.ts'
import { type BindingUpstream, startBindingUpstream } from '../support/binding-upstream.ts'
import { type Identity, makeOddRoot } from '../support/certificates.ts'
import { sendRaw } from '../support/raw-client.ts'
import { eventually, type Running, remove, runCli, startSallyport, writeSecret } from '../support/sallyport.ts'
import { authority, connectionTo, crmDirectory, crmSettings, doorOf, PROOF } from './crm.ts'

const clients = await makeOddRoot()
const app = await clients.issue({ dns: ['app.test'] })
const renewed = await clients.issue({ dns: ['app.test'] })
const other = await clients.issue({ dns: ['app.test'] })
const NAMES = ['h1', 'h2', 'elsewhere', 'nothing']

let oidc: RunningAuthorizationServer
let upstream: BindingUpstream
let directory: string
let sallyport: Running

beforeAll(async () => {
  oidc = await startAuthorizationServer({
    authority,
    host: 'oidc.test',
    clientCa: clients.certPem,
    clients: [
      {
        id: 'app',
        metadata: {
          tls_client_certificate_bound_access_tokens: true,
          token_endpoint_auth_method: 'tls_client_auth',
          tls_client_auth_san_dns: 'app.test',
        },
      },
    ],
  })
  upstream = await startBindingUpstream({
    identity: await authority.issue(['*.bound.test']),
    clientCa: clients.certPem,
    keys: JSON.parse(await oidc.get('/jwks')),
  })
  directory = crmDirectory()
  put('app', app)
  put('other', other)
  sallyport = await startSallyport(directory, settings())
})

afterAll(async () => {
  await sallyport?.stop('SIGKILL')
  if (directory) remove(directory)
  await upstream?.stop()
  await oidc?.stop()
})

function put(name: string, { cert, key }: Identity): void {
  for (const [file, text] of [
    [`${name}.pem`, cert],
    [`${name}.key`, key],
  ] as const) {
    writeSecret(directory, `${file}.new`, text)
    renameSync(join(directory, `${file}.new`), join(directory, file))
  }
}

const shown = (name: string) => ({ certificate: { file: `${name}.pem` }, key: { file: `${name}.key` } })

function settings(): object {
  const credential = {
    kind: 'client-credentials',
    issuer: oidc.issuer,
    clientId: 'app',
    clientAuth: { kind: 'mtls', ...shown('app') },
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: ['127.0.0.0/8'],
  }
  const to = (name: string, tls: object, more: object = {}) =>
    connectionTo(`${name}.bound.test`, upstream.port, {
      credential,
      tls: { ca: { file: 'ca.pem' }, ...tls },
      websocket: true,
      ...more,
    })
  const hosts = [...NAMES.map((name) => `${name}.bound.test`), 'oidc.test']
  return crmSettings({
    port: upstream.port,
    settings: {
      listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
      allowlist: ['*.bound.test'],
      connections: {
        h1: to('h1', shown('app')),
        h2: to('h2', shown('app'), { http2: true }),
        elsewhere: to('elsewhere', shown('other')),
        nothing: to('nothing', {}),
      },
      grants: NAMES.map((connection) => ({ caller: 'checkout', connection })),
      dns: { hosts: Object.fromEntries(hosts.map((host) => [host, ['127.0.0.1']])) },
    },
  })
}

function get(name: string, more = '') {
  const host = `${name}.bound.test`
  const head = `GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n${PROOF}${more}\r\n`
  return sendRaw(doorOf(sallyport, 'forward'), head, { until: /bound$|\r\n\r\n\{.*\n$|101 Switching/ })
}

const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'

function thumbprintOf({ cert }: Identity): string {
  return hash('sha256', new X509Certificate(cert).raw, 'base64url')
}

test.each([
  ['HTTP/1.1', 'h1', '', '1.1', 200],
  ['HTTP/2', 'h2', '', '2.0', 200],
  ['a WebSocket', 'h1', UPGRADE, 'websocket', 101],
])(
  'a bound token reaches the upstream on the certificate it is bound to: %s',
  async (_what, name, more, by, status) => {
    const answer = await get(name, more)
    expect(answer.status).toBe(status)
    expect(upstream.judged.at(-1)).toEqual({ by, fault: undefined, thumbprint: thumbprintOf(app) })
  },
)

test('on another certificate it is worth nothing', async () => {
  expect((await get('elsewhere')).status).toBe(401)
  expect(upstream.judged.at(-1)).toMatchObject({ fault: 'bound to another certificate' })
})

test('an upstream that wants a certificate gets nothing at all without one', async () => {
  const before = upstream.judged.length
  expect((await get('nothing')).text).toMatch(/^HTTP\/1\.1 502 [\s\S]*"code":"upstream-un/)
  expect(upstream.judged).toHaveLength(before)
})

test('rotated files are in use for token and upstream alike, and no socket of the old certificate is', async () => {
  put('app', renewed)
  await eventually(async () => {
    const answers = [await get('h1'), await get('h2'), await get('h1', UPGRADE)]
    expect(answers.map(({ status }) => status).filter((status) => status >= 500)).toEqual([])
    const last = upstream.judged.slice(-3)
    return last.every(({ thumbprint }) => thumbprint === thumbprintOf(renewed)) || undefined
  }, 'the new certificate')
  expect(upstream.judged.slice(-3).map(({ by, fault }) => [by, fault])).toEqual([
    ['1.1', undefined],
    ['2.0', undefined],
    ['websocket', undefined],
  ])
})

test.each<[string, object, RegExp]>([
  ['a certificate without its key', { certificate: { file: 'app.pem' } }, /tls\.key: missing: certificate and key go/],
  [
    'a key of another certificate',
    { certificate: { file: 'app.pem' }, key: { file: 'other.key' } },
    /tls\.key: use the key of this certificate/,
  ],
])('`check` refuses %s', async (_what, tls, words) => {
  const connections = { crm: connectionTo('h1.bound.test', 443, { tls: { ca: { file: 'ca.pem' }, ...tls } }) }
  const grants = [{ caller: 'checkout', connection: 'crm' }]
  const whole = crmSettings({ port: 443, settings: { connections, grants, allowlist: ['*.bound.test'] } })
  const file = join(directory, 'wrong.yaml')
  writeFileSync(file, JSON.stringify(whole, undefined, 1))
  const { code, stderr } = await runCli(['check', '--config', file])
  expect([code, stderr]).toEqual([2, expect.stringMatching(words)])
})
