import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type Loaded, loadSettings } from '../../src/settings/load.ts'
import { named, podIn, rendered, settingsIn } from '../support/kubernetes-overlays.ts'
import { type Container, containersOf, type PodSpec, podOf } from '../support/kubernetes-pod.ts'
import type { Manifest } from '../support/kubernetes-strict.ts'
import { hasKubernetesTools } from '../support/kubernetes-tools.ts'

const SHAPES = [
  { overlay: 'sidecar', kind: 'Deployment', name: 'checkout' },
  { overlay: 'sidecar', kind: 'CronJob', name: 'nightly' },
  { overlay: 'gateway', kind: 'Deployment', name: 'sallyport' },
] as const
const noTools = !hasKubernetesTools()

interface Shape {
  readonly manifests: readonly Manifest[]
  readonly spec: PodSpec
  readonly sallyport: Container
  readonly settings: Loaded['settings']
}

async function shapeOf({ overlay, kind, name }: { overlay: string; kind: string; name: string }): Promise<Shape> {
  const manifests = rendered(`overlays/${overlay}`)
  const spec = podIn(manifests, kind, name)
  const [, sallyport] = containersOf(spec).find(([, one]) => one.name === 'sallyport') ?? []
  if (!sallyport) throw new Error('the pod has no Sallyport')
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-settings-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const file = join(directory, 'sallyport.yaml')
  writeFileSync(file, settingsIn(manifests))
  return { manifests, spec, sallyport, settings: (await loadSettings(file)).settings }
}

const portOf = (listen: string) => Number(listen.split(':').at(-1))

test.skipIf(noTools).each(SHAPES)(
  '$overlay/$name: probes ask the health door, at a port that the container names',
  async (one) => {
    const { sallyport, settings } = await shapeOf(one)
    const port = portOf(settings.health?.listen ?? '')
    expect(settings.health?.listen).toBe(`0.0.0.0:${port}`)
    const declared = new Map((sallyport.ports ?? []).map(({ name, containerPort }) => [name, containerPort]))
    const probes = [sallyport.startupProbe, sallyport.livenessProbe, sallyport.readinessProbe]
    const asked = probes.map(
      (probe) => probe?.httpGet && [probe.httpGet.path, declared.get(String(probe.httpGet.port)) ?? probe.httpGet.port],
    )
    const readiness = one.overlay === 'gateway' ? ['/readyz', port] : undefined
    expect(asked).toEqual([['/startupz', port], ['/livez', port], readiness])
    expect([...declared.values()]).toContain(port)
  },
)

/** Every path that settings name: files by reference, sockets, directories. */
function pathsIn(value: unknown, key = ''): readonly string[] {
  if (typeof value === 'string') {
    if (value.startsWith('unix:')) return [value.slice('unix:'.length)]
    return ['file', 'directory', 'bundle', 'path'].includes(key) ? [value] : []
  }
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, one]) => pathsIn(one, name))
}

test.skipIf(noTools).each(SHAPES)(
  '$overlay/$name: what the settings name is in a volume, and what is written to may be',
  async (one) => {
    const { sallyport, settings, spec } = await shapeOf(one)
    const paths = pathsIn(settings).map((path) => resolve('/etc/sallyport', path))
    expect(paths.length).toBeGreaterThan(4)
    const mounts = (sallyport.volumeMounts ?? []).toSorted((a, b) => b.mountPath.length - a.mountPath.length)
    for (const path of paths) {
      const mount = mounts.find(({ mountPath }) => path.startsWith(`${mountPath}/`))
      const volume = spec.volumes?.find(({ name }) => name === mount?.name)
      const isWritten = !path.startsWith('/etc/')
      expect({ path, isWritable: mount?.readOnly !== true, isOurs: volume?.emptyDir !== undefined }).toEqual({
        path,
        isWritable: isWritten,
        isOurs: isWritten,
      })
      const { items } = volume?.secret ?? {}
      if (items) expect(items.map((item) => `${mount?.mountPath}/${item.path}`)).toContain(path)
    }
  },
)

test.skipIf(noTools).each(SHAPES)(
  '$overlay/$name: it runs as 65532 with nothing to write to but those, and has its settings where it looks',
  async (one) => {
    const { sallyport, spec } = await shapeOf(one)
    const context = { ...spec.securityContext, ...sallyport.securityContext }
    expect(context).toMatchObject({
      runAsUser: 65532,
      runAsGroup: 65532,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
    })
    expect(sallyport.args).toEqual(['serve', '--watch', '--config', '/etc/sallyport/sallyport.yaml'])
    expect(spec.automountServiceAccountToken).toBe(false)
    for (const { name, mountPath, subPath } of sallyport.volumeMounts ?? [])
      expect({ name, mountPath, subPath }).toEqual({ name, mountPath, subPath: undefined })
  },
)

test.skipIf(noTools).each(SHAPES)(
  '$overlay/$name: the grace period has room for the hook, for the drain, and for two seconds',
  async (one) => {
    const { sallyport, settings, spec } = await shapeOf(one)
    const hook = sallyport.lifecycle?.preStop?.sleep?.seconds ?? 0
    expect(hook).toBeGreaterThan(0)
    expect(spec.terminationGracePeriodSeconds ?? 30).toBeGreaterThanOrEqual(hook + settings.drainTimeoutMs / 1000 + 2)
  },
)

test.skipIf(noTools)(
  'sidecar: it is started before the app, is not asked whether it is ready, and its doors are on loopback',
  async () => {
    const { spec, sallyport, settings } = await shapeOf(SHAPES[0])
    expect(spec.initContainers?.[0]).toBe(sallyport)
    expect(sallyport.restartPolicy).toBe('Always')
    expect(settings.listeners.map(({ listen }) => listen)).toEqual([
      '127.0.0.1:15001',
      'unix:/run/sallyport/sockets/crm.sock',
    ])
    const app = spec.containers[0]
    expect(app?.volumeMounts).toContainEqual({ name: 'sallyport-run', mountPath: '/run/sallyport', readOnly: true })
    const mounted = app?.volumeMounts?.map(({ name }) => name) ?? []
    expect(mounted.filter((name) => /secrets|keys|state|settings/.test(name))).toEqual([])
  },
)

test.skipIf(noTools)(
  'gateway: the Service, the policies and the container agree on the ports of the doors',
  async () => {
    const { manifests, sallyport, settings } = await shapeOf(SHAPES[2])
    const doors = settings.listeners.map(({ listen }) => portOf(listen))
    const declared = new Map((sallyport.ports ?? []).map(({ name = '', containerPort }) => [name, containerPort]))
    const service = named(manifests, 'Service', 'sallyport')['spec'] as {
      ports: { port: number; targetPort: string }[]
    }
    expect(service.ports.map(({ port }) => port)).toEqual(doors)
    expect(service.ports.map(({ targetPort }) => declared.get(targetPort))).toEqual(doors)
    const apps = policy(manifests, 'egress-through-sallyport')
    expect(apps.podSelector).toEqual({})
    expect(apps.egress?.map(({ ports }) => ports.map(({ port }) => port))).toEqual([[53, 53], doors])
    const ingress = policy(manifests, 'sallyport-ingress').ingress
    expect(ingress?.map(({ ports }) => ports.map(({ port }) => port))).toEqual([
      doors,
      [portOf(settings.health?.listen ?? '')],
    ])
    for (const listener of settings.listeners) expect(listener).toHaveProperty('tls.certificate.file', 'tls/tls.crt')
  },
)

interface Policy {
  readonly podSelector: object
  readonly egress?: readonly { readonly ports: readonly { readonly port: number }[] }[]
  readonly ingress?: readonly { readonly ports: readonly { readonly port: number }[] }[]
}

function policy(manifests: readonly Manifest[], name: string): Policy {
  return named(manifests, 'NetworkPolicy', name)['spec'] as Policy
}

test.skipIf(noTools)(
  'gateway: the token of the app is for the audience that is asked for, and its grant names its account',
  async () => {
    const { manifests, settings } = await shapeOf(SHAPES[2])
    const app = podOf(named(manifests, 'Deployment', 'checkout'))?.spec
    const [source] = app?.volumes?.find(({ name }) => name === 'sallyport-token')?.projected?.sources ?? []
    expect(settings.callers['pods']).toHaveProperty('audience', source?.serviceAccountToken?.audience)
    const namespace = named(manifests, 'Deployment', 'checkout').metadata.namespace
    expect(settings.grants.map(({ caller }) => caller)).toEqual([`${namespace}/${app?.serviceAccountName}`])
  },
)

test.skipIf(noTools)('gateway: pods are told apart by selectors that fit, and one of two stays', async () => {
  const { manifests } = await shapeOf(SHAPES[2])
  const labels = podOf(named(manifests, 'Deployment', 'sallyport'))?.labels
  const selectors = [
    (named(manifests, 'Service', 'sallyport')['spec'] as { selector: object }).selector,
    (named(manifests, 'PodDisruptionBudget', 'sallyport')['spec'] as { selector: { matchLabels: object } }).selector
      .matchLabels,
    (policy(manifests, 'sallyport-egress').podSelector as { matchLabels: object }).matchLabels,
  ]
  for (const selector of selectors) expect(selector).toEqual(labels)
  expect(named(manifests, 'Deployment', 'sallyport')['spec']).toMatchObject({ replicas: 2 })
  expect(named(manifests, 'PodDisruptionBudget', 'sallyport')['spec']).toMatchObject({ minAvailable: 1 })
})
