import { readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type Authority, makeAuthority } from '../support/certificates.ts'
import { imageTree } from '../support/image-tree.ts'
import type { ClusterObjects } from '../support/kubelet-volumes.ts'
import { configMapsIn, podIn, rendered } from '../support/kubernetes-overlays.ts'
import { amountOf, containersOf, type PodSpec } from '../support/kubernetes-pod.ts'
import { NO_POD, Pod, type Program } from '../support/pod.ts'
import { eventually } from '../support/sallyport.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'

const CRM = 'api.crm.example.com'
/** Public, so that it may be dialled; of the pod's own network, so that nothing gets there. */
/** For a test that starts a pod of its own, on a machine that is busy. */
const POD_MS = 240_000
const CRM_IP = '93.184.215.14'
const KEY = '6f1c-key-of-the-app'

let image: Awaited<ReturnType<typeof imageTree>>
let authority: Authority
let upstream: RawUpstream
let pods: Pod[] = []
/** For whoever changes nothing of it. */
let shared: Pod
let sidecar: Program

beforeAll(async () => {
  if (NO_POD) return
  image = await imageTree()
  authority = await makeAuthority()
  const answer = { send: 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ncontact' }
  upstream = await startUpstream(() => [answer], await authority.issue([CRM]))
  shared = await podWith('s3cret-of-the-crm')
  pods = []
  sidecar = await started(shared)
}, POD_MS)
afterEach(async () => {
  await Promise.all(pods.map((pod) => pod.close()))
  pods = []
})
afterAll(async () => {
  await shared?.close()
  await upstream?.close()
  image?.remove()
})

const manifests = NO_POD ? [] : rendered('overlays/sidecar')
const spec = NO_POD ? { containers: [] } : podIn(manifests, 'Deployment', 'checkout')

function objectsWith(secret: string): ClusterObjects {
  return {
    secrets: { 'sallyport-secrets': { crm: secret }, 'sallyport-app': { key: KEY } },
    configMaps: trusting(configMapsIn(manifests)),
    token: (audience) => `a token for ${audience}`,
  }
}

/** The one difference to what is shipped: the test's upstream is vouched for by the test's authority. */
function trusting(maps: Record<string, Record<string, string>>): Record<string, Record<string, string>> {
  const line = `    hosts: [${CRM}]\n`
  return Object.fromEntries(
    Object.entries(maps).map(([name, data]) => {
      expect(data['sallyport.yaml']).toContain(line)
      return [
        name,
        {
          'sallyport.yaml': String(data['sallyport.yaml']).replace(
            line,
            `${line}    tls: { ca: { file: /upstream.pem } }\n`,
          ),
        },
      ]
    }),
  )
}

async function podWith(secret: string, of: PodSpec = spec): Promise<Pod> {
  const cables = [{ host: CRM, ip: CRM_IP, port: 443, to: upstream.port }]
  const files = { '/upstream.pem': authority.certPem }
  const pod = await Pod.start({ spec: of, objects: objectsWith(secret), image: image.directory, cables, files })
  pods.push(pod)
  return pod
}

/** Starts the sidecar, and waits as the kubelet does before it starts the app. */
async function started(pod: Pod): Promise<Program> {
  const program = pod.run('sallyport')
  const [, sidecar] = containersOf(spec).find(([, { name }]) => name === 'sallyport') ?? []
  const { startupProbe = {} } = sidecar ?? {}
  await eventually(
    async () => ((await pod.probe(startupProbe, 'sallyport')) === 200 ? true : undefined),
    `the startup probe: ${program.output()}`,
    (startupProbe.failureThreshold ?? 3) * (startupProbe.periodSeconds ?? 10) * 1000,
  )
  return program
}

function residentBytes({ pid }: Program, field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024
}

const mebibytes = (bytes: number) => Math.round(bytes / 1024 / 1024)

const curl = (...args: readonly string[]) => ['curl', '-sS', '-m', '10', '-w', ' %{http_code}', ...args]
const URL = `http://${CRM}/v1/contacts/7`

test.skipIf(NO_POD)(
  'an app asks by HTTP_PROXY, by HTTPS_PROXY with the trust it is given, and by the socket, and never has the secret',
  async () => {
    const before = upstream.heads().length
    expect(await shared.exec('checkout', ...curl(URL))).toEqual({ code: 0, text: 'contact 200' })
    expect(await shared.exec('checkout', ...curl(URL.replace('http:', 'https:')))).toEqual({
      code: 0,
      text: 'contact 200',
    })
    const socket = ['--unix-socket', '/run/sallyport/sockets/crm.sock', 'http://localhost/v1/contacts/7']
    expect(await shared.exec('checkout', ...curl(...socket))).toEqual({ code: 0, text: 'contact 200' })
    const heads = upstream.heads().slice(before)
    expect(heads).toHaveLength(3)
    for (const head of heads) expect(head.toLowerCase()).toContain('authorization: bearer s3cret-of-the-crm')
    const found = await shared.exec(
      'checkout',
      'sh',
      '-c',
      'env; find /etc /run /var -type f -exec cat {} + 2>/dev/null',
    )
    expect(found.text).not.toContain('s3cret')
    expect(found.text).toContain('a token for sallyport')
  },
)

test.skipIf(NO_POD)('what is not granted, and what is not allowed, is refused to the app', async () => {
  const refused = async (...args: readonly string[]) => (await shared.exec('checkout', ...curl(...args))).text.slice(-3)
  expect(await refused('-X', 'DELETE', URL)).toBe('403')
  expect(await refused('http://elsewhere.example.com/')).toBe('403')
  expect(await refused('-x', 'http://app:wrong@127.0.0.1:15001', URL)).toBe('407')
})

test.skipIf(NO_POD)(
  'the app can change nothing of what the sidecar publishes, nor reach the admin socket, even as the same user',
  async () => {
    const same = structuredClone(spec)
    if (same.securityContext) same.securityContext.runAsUser = 65532
    const pod = await podWith('s3cret', same)
    await started(pod)
    const shell = (script: string) => pod.exec('checkout', 'sh', '-c', script)
    expect((await shell('echo x > /run/sallyport/trust/bundle.pem')).text).toMatch(/Read-only file system/)
    expect((await shell('rm /run/sallyport/sockets/crm.sock')).text).toMatch(/Read-only file system/)
    expect((await shell('ls /var/lib/sallyport /etc/sallyport')).text).toMatch(/No such file.*\n.*No such file/)
    expect((await shell('find / -name admin.sock -not -path "/proc/*" 2>/dev/null')).text).toBe('')
    const live = await pod.exec(
      'sallyport',
      '/usr/bin/curl',
      '-s',
      '--unix-socket',
      '/var/lib/sallyport/admin/admin.sock',
      'http://localhost/v1/connections',
    )
    expect(live.text).toContain('crm')
  },
  POD_MS,
)

test.skipIf(NO_POD)('probes are answered as the manifest has them, at the address of the pod', async () => {
  const [, sidecar] = containersOf(spec).find(([, { name }]) => name === 'sallyport') ?? []
  expect(await shared.probe(sidecar?.livenessProbe ?? {}, 'sallyport')).toBe(200)
  expect(await shared.probe({ httpGet: { path: '/metrics', port: 15091 } }, 'sallyport')).toBe(200)
  expect(await shared.probe({ httpGet: { path: '/', port: 15001 } }, 'sallyport')).toBe(undefined)
})

test.skipIf(NO_POD)('doctor finds nothing to mend, from within the sidecar', async () => {
  // The image has none of the clients of this machine, whose trust would be looked at.
  const bare = ['/usr/bin/env', 'PATH=/none']
  const doctor = ['/nodejs/bin/node', '/app/sallyport.mjs', 'doctor', '--config', '/etc/sallyport/sallyport.yaml']
  const { code, text } = await shared.exec('sallyport', ...bare, ...doctor)
  expect(text.match(/^ {2}failed .*$/gm) ?? []).toEqual([])
  expect(code).toBe(0)
  expect(text).toMatch(/ok +health 0\.0\.0\.0:15091: probes are told that it is ready/)
})

test.skipIf(NO_POD)(
  'the root of the sidecar cannot be written to, and its memory is within what the manifest asks for',
  async () => {
    const idleBytes = residentBytes(sidecar, 'VmRSS')
    // Without standard error: with -Z curl draws a meter there, whatever it is told.
    const many = `curl -Z --parallel-max 32 -o /dev/null -w '=%{http_code}=' 'http://${CRM}/v1/contacts/[1-2000]' 2> /dev/null`
    expect((await shared.exec('checkout', 'sh', '-c', many)).text.match(/=200=/g)).toHaveLength(2000)
    const status = readFileSync(`/proc/${sidecar.pid}/status`, 'utf8')
    expect(/^Uid:\s+(\d+)/m.exec(status)?.[1]).toBe('65532')
    expect(/^CapBnd:\s+(\w+)/m.exec(status)?.[1]).toBe('0000000000000000')
    const peakBytes = residentBytes(sidecar, 'VmHWM')
    process.stdout.write(`sidecar: ${mebibytes(idleBytes)} MiB idle, ${mebibytes(peakBytes)} MiB at most\n`)
    const [, container] = containersOf(spec).find(([, { name }]) => name === 'sallyport') ?? []
    expect(idleBytes).toBeLessThan(amountOf(container?.resources?.requests?.['memory'] ?? 0) * 1.1)
    // What else is charged to a container: its two volumes in memory.
    expect(peakBytes).toBeLessThan(amountOf(container?.resources?.limits?.['memory'] ?? 0) - 8 * 1024 * 1024)
    const shell = await shared.exec(
      'sallyport',
      'sh',
      '-c',
      'touch /etc/x; touch /app/x; touch /etc/sallyport/x; touch /etc/sallyport/secrets/x',
    )
    expect(shell.text.match(/Read-only file system/g)).toHaveLength(4)
  },
)

test.skipIf(NO_POD)(
  'a Secret that changes is used for the next request, with nothing restarted',
  async () => {
    const pod = await podWith('first')
    const program = await started(pod)
    await pod.exec('checkout', ...curl(URL))
    pod.sync('sallyport-secrets', objectsWith('second'))
    await eventually(
      async () => {
        await pod.exec('checkout', ...curl(URL))
        return upstream.heads().at(-1)?.includes('Bearer second') ? true : undefined
      },
      'the new secret',
      40_000,
    )
    program.signal('SIGTERM')
    expect(await program.ended).toBe(0)
  },
  POD_MS,
)

test.skipIf(NO_POD)(
  'a ConfigMap that keeps its name is taken in while it runs, once the kubelet has swapped it',
  async () => {
    const pod = await podWith('s3cret')
    await started(pod)
    const status = async () => (await pod.exec('checkout', ...curl('-X', 'DELETE', URL))).text.slice(-3)
    expect(await status()).toBe('403')
    const objects = objectsWith('s3cret')
    const changed = (text = '') => text.replaceAll('methods: [GET]', 'methods: [GET, DELETE]')
    const configMaps = Object.entries(objects.configMaps).map(([name, data]) => [
      name,
      { 'sallyport.yaml': changed(data['sallyport.yaml']) },
    ])
    pod.sync('sallyport-settings', { ...objects, configMaps: Object.fromEntries(configMaps) })
    await eventually(async () => ((await status()) === '200' ? true : undefined), 'the new settings', 40_000)
  },
  POD_MS,
)

test.skipIf(NO_POD)(
  'SIGTERM lets a request finish within the grace period, and ends with 0',
  async () => {
    const release = Promise.withResolvers<void>()
    const slow = await startUpstream(
      () => [{ send: 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha' }, { wait: release.promise }, { send: 'lf' }],
      await authority.issue([CRM]),
    )
    const cables = [{ host: CRM, ip: CRM_IP, port: 443, to: slow.port }]
    const pod = await Pod.start({
      spec,
      objects: objectsWith('s3cret'),
      image: image.directory,
      cables,
      files: { '/upstream.pem': authority.certPem },
    })
    pods.push(pod)
    const program = await started(pod)
    const asking = pod.exec('checkout', ...curl(URL))
    await eventually(() => (slow.heads().length === 1 ? true : undefined), 'a request under way')
    const stopping = performance.now()
    program.signal('SIGTERM')
    await eventually(() => (program.output().includes('stopping') ? true : undefined), 'the drain')
    release.resolve()
    expect(await asking).toEqual({ code: 0, text: 'half 200' })
    expect(await program.ended).toBe(0)
    expect(performance.now() - stopping).toBeLessThan((spec.terminationGracePeriodSeconds ?? 30) * 1000)
    await slow.close()
  },
  POD_MS,
)
