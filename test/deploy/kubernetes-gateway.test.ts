import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Authority, type Identity, makeAuthority } from '../support/certificates.ts'
import { type FakeApiServer, startFakeApiServer } from '../support/fake-api-server.ts'
import { imageTree } from '../support/image-tree.ts'
import type { ClusterObjects } from '../support/kubelet-volumes.ts'
import { configMapsIn, podIn, rendered } from '../support/kubernetes-overlays.ts'
import { NO_POD, Pod, type Program } from '../support/pod.ts'
import { type Postgres, startPostgres } from '../support/postgres.ts'
import { eventually } from '../support/sallyport.ts'
import { claimsAt, jwksOf, makeSigningKey, type SigningKey, signToken } from '../support/tokens.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'

const CRM = 'api.crm.example.com'
const API_SERVER = 'kubernetes.default.svc.cluster.local'
const DATABASE = 'postgres.example.com'
const GATEWAY = 'sallyport.shop.svc'
const NAMES = ['sallyport', 'sallyport.shop', GATEWAY, `${GATEWAY}.cluster.local`]

const manifests = NO_POD ? [] : rendered('overlays/gateway')
const gatewaySpec = NO_POD ? { containers: [] } : podIn(manifests, 'Deployment', 'sallyport')
const appSpec = NO_POD ? { containers: [] } : podIn(manifests, 'Deployment', 'checkout')

let image: Awaited<ReturnType<typeof imageTree>>
let authority: Authority
let signing: SigningKey
let upstream: RawUpstream
let apiServer: FakeApiServer
let postgres: Postgres
let databaseUrl: string
let gateway: Pod
let program: Program
let app: Pod
let release = () => undefined as void

beforeAll(async () => {
  if (NO_POD) return
  image = await imageTree()
  authority = await makeAuthority()
  signing = await makeSigningKey()
  upstream = await startUpstream(
    (head) => {
      const ok = { send: 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ncontact' }
      const wait = new Promise<void>((resolve) => (release = resolve))
      return head.includes('/slow') ? [{ wait }, ok] : [ok]
    },
    await authority.issue([CRM]),
  )
  apiServer = await startFakeApiServer(await authority.issue([API_SERVER]), API_SERVER)
  apiServer.admit('the own token of the gateway')
  apiServer.publish('/openid/v1/jwks', jwksOf(signing))
  postgres = await startPostgres({ tls: await authority.issue([DATABASE]) })
  databaseUrl = (await postgres.createDatabase()).replace(/@[^/]+/, `@${DATABASE}:5432`)
  const objects = await objectsWith(await authority.issue(NAMES), authority.certPem)
  const cables = [
    { host: CRM, ip: '93.184.215.14', port: 443, to: upstream.port },
    { host: API_SERVER, ip: '10.96.0.1', port: 443, to: apiServer.port },
    { host: DATABASE, ip: '10.0.0.5', port: 5432, to: postgres.port },
  ]
  const files = { '/upstream.pem': authority.certPem }
  gateway = await Pod.start({ spec: gatewaySpec, objects, image: image.directory, cables, files })
  program = gateway.run('sallyport')
  await eventually(
    async () => ((await gateway.probe(probes.startupProbe ?? {}, 'sallyport')) === 200 ? true : undefined),
    `the startup probe: ${program.output()}`,
    80_000,
  )
  const door = { host: GATEWAY, ip: '10.96.7.7', port: 15003, to: await gateway.outlet(15003) }
  app = await Pod.start({ spec: appSpec, objects, image: image.directory, cables: [door] })
}, 180_000)
afterAll(async () => {
  await Promise.all([app?.close(), gateway?.close(), upstream?.close(), apiServer?.stop(), postgres?.remove()])
  image?.remove()
})

const [probes = { name: '' }] = gatewaySpec.containers

async function objectsWith(identity: Identity, ca: string): Promise<ClusterObjects> {
  const token = await tokenOf('shop', 'checkout')
  return {
    secrets: {
      'sallyport-secrets': { crm: 's3cret-of-the-crm' },
      'sallyport-store': { url: databaseUrl, 'ca.crt': authority.certPem, key: Buffer.alloc(32, 7).toString('base64') },
      'sallyport-tls': { 'tls.crt': identity.cert, 'tls.key': identity.key, 'ca.crt': ca },
    },
    configMaps: { ...trusting(configMapsIn(manifests)), 'kube-root-ca.crt': { 'ca.crt': authority.certPem } },
    token: (audience) => (audience === 'sallyport' ? token : 'the own token of the gateway'),
  }
}

/** The one difference to what is shipped: the test's upstream is vouched for by the test's authority. */
function trusting(maps: Record<string, Record<string, string>>): Record<string, Record<string, string>> {
  const line = `    hosts: [${CRM}]\n`
  const changed = (text = '') => text.replace(line, `${line}    tls: { ca: { file: /upstream.pem } }\n`)
  return Object.fromEntries(
    Object.entries(maps).map(([name, data]) => [name, { 'sallyport.yaml': changed(data['sallyport.yaml']) }]),
  )
}

function tokenOf(namespace: string, name: string): Promise<string> {
  const sub = `system:serviceaccount:${namespace}:${name}`
  const claims = { iss: `https://${API_SERVER}`, aud: ['sallyport'], sub }
  return signToken(signing, claimsAt(Date.now(), claims))
}

/** As app.yaml has it. */
const ask = (path = '/v1/contacts/7', more = '') => {
  const token = '"Authorization: Bearer $(cat /var/run/secrets/sallyport/token)"'
  const curl = `curl -sS -m 10 -w ' %{http_code}' ${more} --cacert /etc/sallyport-ca/ca.crt -H ${token} $CRM_URL${path}`
  return app.exec('checkout', 'sh', '-c', curl)
}

test.skipIf(NO_POD)('an app asks with the token of its service account, which the upstream never sees', async () => {
  expect(await ask()).toEqual({ code: 0, text: 'contact 200' })
  const head = upstream.heads().at(-1) ?? ''
  expect(head).toMatch(/authorization: bearer s3cret-of-the-crm/i)
  expect(head).not.toContain('eyJ')
  expect(apiServer.requests.filter(({ target }) => target === '/openid/v1/jwks').length).toBeGreaterThan(0)
  expect((await ask('/v1/contacts/7', '-X DELETE')).text).toMatch(/403$/)
})

test.skipIf(NO_POD)('a token of another namespace, and none, is nobody', async () => {
  const status = async (token: string) =>
    (
      await app.exec(
        'checkout',
        'sh',
        '-c',
        `curl -sS -m 10 -o /dev/null -w '%{http_code}' --cacert /etc/sallyport-ca/ca.crt ${token} $CRM_URL/v1/contacts/7`,
      )
    ).text
  expect(await status(`-H "Authorization: Bearer ${await tokenOf('other', 'checkout')}"`)).toBe('401')
  expect(await status('')).toBe('401')
})

test.skipIf(NO_POD)(
  'secrets are read as root and fsGroup have them, 0440, and nothing of them is in the pod of the app',
  async () => {
    const modes = await gateway.exec(
      'sallyport',
      'sh',
      '-c',
      'stat -L -c "%a %u:%g" /etc/sallyport/secrets/crm /etc/sallyport/tls/tls.key /etc/sallyport/cluster/token',
    )
    expect(modes.text).toBe('440 0:65532\n440 0:65532\n600 65532:65532\n')
    const found = await app.exec('checkout', 'sh', '-c', 'env; find /etc /run /var -type f -exec cat {} + 2>/dev/null')
    expect(found.text).not.toMatch(/s3cret|PRIVATE KEY/)
  },
)

test.skipIf(NO_POD)('operators come in by kubectl exec, and what they change is in the database', async () => {
  const sallyport = (...args: readonly string[]) =>
    gateway.exec(
      'sallyport',
      '/nodejs/bin/node',
      '/app/sallyport.mjs',
      ...args,
      '--config',
      '/etc/sallyport/sallyport.yaml',
    )
  const granted = await sallyport(
    'grant',
    'crm',
    '--to',
    'shop/checkout',
    '--methods',
    'DELETE',
    '--paths',
    '/v1/contacts/*',
  )
  expect(granted).toMatchObject({ code: 0 })
  expect(await ask('/v1/contacts/7', '-X DELETE')).toEqual({ code: 0, text: 'contact 200' })
})

test.skipIf(NO_POD)(
  'a certificate that cert-manager renews, by another authority even, is served without a restart',
  async () => {
    const next = await makeAuthority('the next one')
    const renewed = await objectsWith(await next.issue(NAMES), next.certPem)
    gateway.sync('tls', renewed)
    app.sync('sallyport-ca', renewed)
    await eventually(async () => ((await ask()).text === 'contact 200' ? true : undefined), 'the new certificate')
  },
)

test.skipIf(NO_POD)(
  'SIGTERM: it says that it is not ready, finishes what is under way, and ends with 0 within the grace period',
  async () => {
    expect(await gateway.probe(probes.readinessProbe ?? {}, 'sallyport')).toBe(200)
    const before = upstream.heads().length
    const slow = ask('/v1/contacts/slow')
    await eventually(() => (upstream.heads().length > before ? true : undefined), 'a request under way')
    const stopping = performance.now()
    program.signal('SIGTERM')
    await eventually(
      async () => ((await gateway.probe(probes.readinessProbe ?? {}, 'sallyport')) === 503 ? true : undefined),
      'that it is not ready',
    )
    release()
    expect(await slow).toEqual({ code: 0, text: 'contact 200' })
    expect(await program.ended).toBe(0)
    const graceMs = (gatewaySpec.terminationGracePeriodSeconds ?? 30) * 1000
    expect(performance.now() - stopping).toBeLessThan(graceMs)
  },
)
