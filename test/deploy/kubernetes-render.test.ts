import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { KUBERNETES, named, podIn, rendered, settingsIn } from '../support/kubernetes-overlays.ts'
import { containersOf, podOf } from '../support/kubernetes-pod.ts'
import { faultsOfAll, type Manifest } from '../support/kubernetes-strict.ts'
import { hasKubernetesTools } from '../support/kubernetes-tools.ts'
import { podSecurityFaults } from '../support/pod-security.ts'
import { runCli } from '../support/sallyport.ts'

const CUSTOM = ['cert-manager.io/v1 Issuer', 'cert-manager.io/v1 Certificate']
const read = (path: string) => readFileSync(join(KUBERNETES, path), 'utf8')
const noTools = !hasKubernetesTools()

/** A kustomization of a user, beside ours. */
function built(kustomization: object, files: Readonly<Record<string, string>> = {}): readonly Manifest[] {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-kustomize-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const head = { apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization' }
  const ours = (paths: readonly string[] = []) => paths.map((path) => relative(directory, join(KUBERNETES, path)))
  const { ours: resources = [], components = [], ...rest } = kustomization as Kustomization
  const all = { ...head, resources: [...ours(resources), ...Object.keys(files)], components: ours(components), ...rest }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  writeFileSync(join(directory, 'kustomization.yaml'), JSON.stringify(all))
  return rendered(directory)
}

interface Kustomization {
  /** Resources and components of ours, below deploy/kubernetes. */
  readonly ours?: readonly string[]
  readonly components?: readonly string[]
}

const securityFaults = (manifests: readonly Manifest[]) =>
  manifests.flatMap((manifest) => podSecurityFaults(podOf(manifest)?.spec ?? { containers: [] }))

test.skipIf(noTools).each([
  ['sidecar', ['overlays/sidecar'], []],
  ['sidecar with secrets by CSI', ['overlays/sidecar'], ['component/csi']],
  ['gateway', ['overlays/gateway'], []],
  [
    'gateway with cert-manager and reviews',
    ['overlays/gateway'],
    ['overlays/gateway/cert-manager', 'overlays/gateway/token-review'],
  ],
])('%s: an API server takes it, in a namespace that is restricted', (_, ours, components) => {
  const manifests = built({ ours, components })
  expect(faultsOfAll(manifests, { custom: CUSTOM })).toEqual([])
  expect(securityFaults(manifests)).toEqual([])
  const namespace = manifests.find(({ kind }) => kind === 'Namespace')
  expect(namespace?.metadata.labels?.['pod-security.kubernetes.io/enforce']).toBe('restricted')
})

test.skipIf(noTools)(
  'the component for reviews lets the gateway ask about tokens, and nothing else of the cluster',
  () => {
    const manifests = built({ ours: ['overlays/gateway'], components: ['overlays/gateway/token-review'] })
    const roles = manifests.filter(({ kind }) => kind === 'ClusterRole')
    expect(roles).toMatchObject([
      { rules: [{ apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] }] },
    ])
    const [binding] = manifests.filter(({ kind }) => kind === 'ClusterRoleBinding')
    expect(binding?.['roleRef']).toMatchObject({ name: roles[0]?.metadata.name })
  },
)

test.skipIf(noTools)('transparent: an API server takes it, and it violates just what its README says', () => {
  const manifests = rendered('overlays/transparent')
  expect(faultsOfAll(manifests)).toEqual([])
  expect(securityFaults(manifests)).toEqual([
    'added-capabilities: initContainers[0] NET_ADMIN',
    'run-as-non-root: initContainers[0]',
    'run-as-user: initContainers[0]',
    'restricted-capabilities: initContainers[0] NET_ADMIN',
  ])
  const { initContainers = [] } = podIn(manifests, 'Deployment', 'legacy')
  expect(initContainers.map(({ name }) => name)).toEqual(['sallyport-redirect', 'sallyport'])
})

test('the variables of the component are what `sallyport env` prints for the settings of the overlay', async () => {
  const config = join(KUBERNETES, 'overlays/sidecar/sallyport.yaml')
  const { stdout } = await runCli(['env', '--config', config, '--caller', 'app', '--format', 'kubernetes'])
  const { template } = parse(read('component/app-template.yaml'))
  const [app] = template.spec.containers
  expect(app.env).toEqual(parse(stdout).env)
  const [, mounted] = /mount .* at (\S+) there/.exec(stdout) ?? []
  expect(mounted?.startsWith(`${app.volumeMounts[0].mountPath}/`)).toBe(true)
})

test('a CronJob gets the same as the others', () => {
  const { template } = parse(read('component/pod.yaml')).spec
  expect(parse(read('component/cronjob.yaml')).spec.jobTemplate.spec.template).toEqual(template)
  const ofCsi = parse(read('component/csi/pod.yaml')).spec.template
  expect(parse(read('component/csi/cronjob.yaml')).spec.jobTemplate.spec.template).toEqual(ofCsi)
})

const POD = `metadata: { labels: { app: a } }
    spec:
      restartPolicy: RESTART
      initContainers: [ { name: migrate, image: migrate } ]
      containers:
        - { name: web, image: web, env: [ { name: MODE, value: "1" } ] }
        - { name: worker, image: worker, volumeMounts: [ { name: data, mountPath: /data } ] }
      volumes: [ { name: data, emptyDir: {} } ]`
const workload = (kind: string, api: string, more: string, restart = 'Always', labels = '"true"') => `
apiVersion: ${api}
kind: ${kind}
metadata: { name: a, labels: { sallyport/sidecar: ${labels} } }
spec:
  ${more}
  template:
    ${POD.replace('RESTART', restart)}`
const SELECTOR = 'selector: { matchLabels: { app: a } }'

test.skipIf(noTools).each([
  ['Deployment', workload('Deployment', 'apps/v1', SELECTOR)],
  ['StatefulSet', workload('StatefulSet', 'apps/v1', `${SELECTOR}\n  serviceName: a`)],
  ['DaemonSet', workload('DaemonSet', 'apps/v1', SELECTOR)],
  ['Job', workload('Job', 'batch/v1', 'backoffLimit: 1', 'Never')],
])('a %s of several containers: the sidecar comes first, and each container gets the variables', (kind, text) => {
  const manifests = built({ components: ['component'] }, { 'app.yaml': text })
  expect(faultsOfAll(manifests)).toEqual([])
  const { initContainers = [], containers } = podIn(manifests, kind, 'a')
  expect(initContainers.map(({ name }) => name)).toEqual(['sallyport', 'migrate'])
  expect(initContainers[1]?.env).toBe(undefined)
  for (const { env = [], volumeMounts = [] } of containers) {
    const names = env.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    // What a value refers to has to stand before it.
    expect(names.indexOf('SALLYPORT_KEY')).toBeLessThan(names.indexOf('HTTP_PROXY'))
    expect(env.find(({ name }) => name === 'HTTPS_PROXY')?.value).toBe('http://app:$(SALLYPORT_KEY)@127.0.0.1:15001')
    expect(volumeMounts.filter(({ readOnly }) => readOnly).map(({ name }) => name)).toEqual([
      'sallyport-run',
      'sallyport-token',
    ])
  }
  expect(containers[0]?.env?.find(({ name }) => name === 'MODE')?.value).toBe('1')
  expect(containers[1]?.volumeMounts?.[0]?.name).toBe('data')
})

test.skipIf(noTools)('what has no label, or is no workload, stays as it is', () => {
  const other = workload('Deployment', 'apps/v1', SELECTOR, 'Always', '"false"')
  const service =
    'apiVersion: v1\nkind: Service\nmetadata: { name: a, labels: { sallyport/sidecar: "true" } }\nspec: { ports: [ { port: 80 } ] }'
  const manifests = built({ components: ['component'] }, { 'app.yaml': other, 'service.yaml': service })
  expect(faultsOfAll(manifests)).toEqual([])
  expect(podIn(manifests, 'Deployment', 'a').initContainers).toHaveLength(1)
  expect(podIn(manifests, 'Deployment', 'a').containers[0]?.env).toHaveLength(1)
  expect(named(manifests, 'Service', 'a')['spec']).toEqual({ ports: [{ port: 80 }] })
})

test.skipIf(noTools)('a label that the same kustomization adds comes too late, as the README warns', () => {
  const labels = [{ pairs: { 'sallyport/sidecar': 'true' } }]
  const text = workload('Deployment', 'apps/v1', SELECTOR, 'Always', '"false"')
  const manifests = built({ components: ['component'], labels }, { 'app.yaml': text })
  expect(podIn(manifests, 'Deployment', 'a').initContainers).toHaveLength(1)
  expect(read('README.md')).toContain('labels that the same kustomization adds, which come too late')
})

test.skipIf(noTools)('with CSI no Secret of the cluster has the secrets of upstreams', () => {
  const { volumes = [] } = podIn(
    built({ ours: ['overlays/sidecar'], components: ['component/csi'] }),
    'Deployment',
    'checkout',
  )
  const secrets = volumes.find(({ name }) => name === 'sallyport-secrets')
  expect(Object.keys(secrets ?? {}).sort()).toEqual(['csi', 'name'])
})

test.skipIf(noTools)('changed settings are another ConfigMap, so that pods are replaced', () => {
  const changed = (text: string) => {
    const manifests = built(
      {
        components: ['component'],
        configMapGenerator: [{ name: 'sallyport-settings', literals: [`sallyport.yaml=${text}`] }],
      },
      { 'app.yaml': workload('Deployment', 'apps/v1', SELECTOR) },
    )
    const { volumes = [] } = podIn(manifests, 'Deployment', 'a')
    return volumes.find(({ name }) => name === 'sallyport-settings')?.configMap?.name
  }
  expect(changed('one')).toMatch(/^sallyport-settings-[a-z0-9]{10}$/)
  expect(changed('one')).not.toBe(changed('two'))
})

test.skipIf(noTools).each(['sidecar', 'gateway', 'transparent'])('%s: the image is that of this version', (overlay) => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  const manifests = rendered(`overlays/${overlay}`)
  const images = manifests.flatMap((one) =>
    containersOf(podOf(one)?.spec ?? { containers: [] }).map(([, { image }]) => image),
  )
  expect(images.filter((image) => image?.startsWith('sallyport'))).not.toEqual([])
  for (const image of images.filter((one) => one?.startsWith('sallyport'))) expect(image).toBe(`sallyport:${version}`)
  expect(settingsIn(manifests)).toBe(read(`overlays/${overlay}/sallyport.yaml`))
})
