import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import {
  type MutatingSpec,
  mutated,
  type Resource,
  refusals,
  selects,
  type ValidatingSpec,
} from '../../support/admission/policy.ts'
import type { Json } from '../../support/cel.ts'
import { CHART, helm, only, render, type Values } from '../../support/helm.ts'
import type { Container, PodSpec } from '../../support/kubernetes-pod.ts'
import { faultsOfAll, type Manifest, readManifests } from '../../support/kubernetes-strict.ts'
import { hasKubernetesTools, kubernetesTool } from '../../support/kubernetes-tools.ts'
import { podSecurityFaults } from '../../support/pod-security.ts'

const RESTRICTED = `
  securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: [ALL] } }
`

/** Pods that somebody might create, each with the label. */
const PODS: Readonly<Record<string, Resource>> = {
  'one container and nothing else': podOf(`
    containers: [{ name: app, image: app:1 }]
  `),
  'containers, init containers and volumes of its own': podOf(`
    initContainers:
      - { name: migrate, image: app:1, env: [{ name: DEPTH, value: "3" }] }
      - { name: logs, image: logs:1, restartPolicy: Always, volumeMounts: [{ name: data, mountPath: /data }] }
    containers:
      - name: app
        image: app:1
        args: [serve]
        ports: [{ containerPort: 8080 }]
        env: [{ name: ACCOUNT, valueFrom: { fieldRef: { fieldPath: metadata.name } } }]
        volumeMounts: [{ name: data, mountPath: /data, readOnly: true }]
      - { name: beside, image: beside:1 }
    volumes: [{ name: data, emptyDir: {} }]
  `),
}

const ONE = 'containers: [{ name: app, image: app:1 }]'

function podOf(spec: string, metadata: object = {}): Resource {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'shop', labels: { 'sallyport/inject': 'true' }, ...metadata },
    spec: parse(spec),
  }
  for (const one of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) Object.assign(one, parse(RESTRICTED))
  Object.assign(pod.spec, { securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } } })
  return pod
}

function specOf(pod: Resource): PodSpec {
  // What the strict check has looked at.
  return pod['spec'] as unknown as PodSpec
}

describe.skipIf(!hasKubernetesTools())('injection by label', () => {
  let manifests: readonly Manifest[] = []
  let policy: MutatingSpec
  let guard: ValidatingSpec

  function use(values: Values): void {
    manifests = render({ ...values, injection: { enabled: true, ...(values['injection'] as object) } })
    policy = only(manifests, 'MutatingAdmissionPolicy')['spec'] as MutatingSpec
    guard = only(manifests, 'ValidatingAdmissionPolicy')['spec'] as ValidatingSpec
  }
  beforeAll(() => use({}))

  describe.each(Object.entries(PODS))('of a pod with %s', (_, pod) => {
    test('makes what an API server takes, and Pod Security restricted lets through', () => {
      const after = mutated(policy, pod)
      expect(faultsOfAll([after as Manifest])).toEqual([])
      expect(podSecurityFaults(specOf(after), 'restricted')).toEqual([])
      expect(refusals(guard, after)).toEqual([])
    })

    test('puts the sidecar first, and keeps the order of all others and what they say', () => {
      const [before, after] = [specOf(pod), specOf(mutated(policy, pod))]
      const [sidecar, ...others] = after.initContainers ?? []
      expect(sidecar).toMatchObject({ name: 'sallyport', restartPolicy: 'Always' })
      expectKept(before.initContainers ?? [], others)
      expectKept(before.containers, after.containers)
      expect(after.volumes?.slice(0, before.volumes?.length ?? 0)).toEqual(before.volumes ?? [])
    })

    test('tells every container of the app where the proxy is, and the sidecar not', () => {
      const { initContainers = [], containers } = specOf(mutated(policy, pod))
      const [sidecar, ...others] = initContainers
      expect(sidecar?.env).toBeUndefined()
      for (const one of [...others, ...containers])
        expect(one.env).toContainEqual({ name: 'HTTP_PROXY', value: 'http://app:$(SALLYPORT_KEY)@127.0.0.1:15001' })
    })

    test('a second time changes nothing', () => {
      const once = mutated(policy, pod)
      expect(mutated(policy, once)).toEqual(once)
    })
  })

  test('what a container says itself stays, whether by a value or by a reference', () => {
    const own = [
      { name: 'HTTPS_PROXY', value: 'http://mine:3128' },
      { name: 'NO_PROXY', valueFrom: { configMapKeyRef: { name: 'net', key: 'none' } } },
    ]
    const { containers } = specOf(
      mutated(policy, podOf(`containers: [{ name: app, image: app:1, env: ${JSON.stringify(own)} }]`)),
    )
    const named = (name: string) => containers[0]?.env?.filter((one) => one.name === name)
    expect(named('HTTPS_PROXY')).toEqual([own[0]])
    expect(named('NO_PROXY')).toEqual([own[1]])
    expect(named('HTTP_PROXY')).toHaveLength(1)
  })

  test('a pod may name other settings and another secret', () => {
    const annotations = {
      'sallyport/settings': 'checkout-settings',
      'sallyport/secret': 'checkout-secrets',
      'sallyport/app-secret': 'checkout-key',
    }
    const { volumes, containers } = specOf(mutated(policy, podOf(ONE, { annotations, labels: LABEL })))
    expect(volumes).toMatchObject([
      { configMap: { name: 'checkout-settings' } },
      { secret: { secretName: 'checkout-secrets' } },
      { secret: { secretName: 'checkout-key' } },
      {},
      {},
      {},
    ])
    expect(containers[0]?.env?.[0]).toMatchObject({ valueFrom: { secretKeyRef: { name: 'checkout-key' } } })
  })

  test.each([{}, { app: 'shop' }, { 'sallyport/inject': 'false' }])(
    'a pod with the labels %j stays as it is',
    (labels) => {
      const pod = podOf(ONE, { labels })
      expect(mutated(policy, pod)).toBe(pod)
      expect(refusals(guard, pod)).toEqual([])
    },
  )

  test('the guard refuses what asked for a sidecar and has none that runs beside it', () => {
    const bare = podOf(ONE)
    expect(refusals(guard, bare)).toEqual([expect.stringContaining('label the namespace sallyport/injection=enabled')])
    const ends = podOf(
      '{ initContainers: [{ name: sallyport, image: x:1 }], containers: [{ name: app, image: app:1 }] }',
    )
    expect(refusals(guard, mutated(policy, ends))).toEqual([expect.stringContaining('nobody added it')])
  })

  test.each(['True', 'yes', ''])('the guard refuses the word %j in the label', (word) => {
    const pod = podOf(ONE, { labels: { 'sallyport/inject': word } })
    expect(refusals(guard, pod)).toEqual([expect.stringContaining('is "true" or "false", and nothing else')])
  })

  test.each([
    ['containers', 16],
    ['initContainers', 15],
  ])(
    'the guard refuses a pod whose %s are more than %i, because the next has no key for its variables',
    (list, most) => {
      const many = (count: number) => {
        const several = Array.from({ length: count }, (_, index) => ({ name: `c${index}`, image: 'c:1' }))
        return podOf(JSON.stringify({ containers: [{ name: 'app', image: 'app:1' }], [list]: several }))
      }
      expect(refusals(guard, mutated(policy, many(most)))).toEqual([])
      expect(refusals(guard, mutated(policy, many(most + 1)))).toEqual([expect.stringContaining('no SALLYPORT_KEY')])
    },
  )

  test.each(['containers', 'initContainers'])(
    'the guard lets through what others add to %s after the sidecar, as a mesh does',
    (list) => {
      const pod = mutated(
        policy,
        podOf('{ initContainers: [{ name: migrate, image: app:1 }], containers: [{ name: app, image: app:1 }] }'),
      )
      const spec = pod['spec'] as Readonly<Record<string, readonly Json[]>>
      const added = [
        { name: 'mesh', image: 'mesh:1', env: [{ name: 'POD', value: 'shop' }] },
        { name: 'bare', image: 'mesh:1' },
      ]
      expect(refusals(guard, { ...pod, spec: { ...spec, [list]: [...(spec[list] ?? []), ...added] } })).toEqual([])
    },
  )

  test('the guard refuses a sidecar in the network of the node', () => {
    const pod = podOf('{ hostNetwork: true, containers: [{ name: app, image: app:1 }] }')
    expect(refusals(guard, mutated(policy, pod))).toEqual([expect.stringContaining('127.0.0.1 of the node')])
  })

  test.each(['shareProcessNamespace', 'hostPID'])(
    'the guard refuses a sidecar whose processes others see: %s',
    (key) => {
      const pod = (value: boolean) => podOf(`{ ${key}: ${value}, containers: [{ name: app, image: app:1 }] }`)
      expect(refusals(guard, mutated(policy, pod(true)))).toEqual([expect.stringContaining('by /proc')])
      expect(refusals(guard, mutated(policy, pod(false)))).toEqual([])
    },
  )

  test('namespaces opt in to the sidecar, and the guard is in all of them', () => {
    const binding = only(manifests, 'MutatingAdmissionPolicyBinding')['spec'] as Binding
    expect(binding.policyName).toBe(only(manifests, 'MutatingAdmissionPolicy').metadata.name)
    const selector = binding.matchResources?.namespaceSelector
    expect(selects(selector, { 'sallyport/injection': 'enabled' })).toBe(true)
    expect(selects(selector, { 'kubernetes.io/metadata.name': 'kube-system' })).toBe(false)
    const guarding = only(manifests, 'ValidatingAdmissionPolicyBinding')['spec'] as Binding
    expect(guarding).toEqual({
      policyName: only(manifests, 'ValidatingAdmissionPolicy').metadata.name,
      validationActions: ['Deny'],
    })
  })

  test('every message of the guard is one line, as an API server demands', () => {
    for (const { message, expression } of guard.validations) {
      expect(message?.trim()).toMatch(/^.{20,400}$/)
      expect(expression).not.toContain('\n')
    }
  })

  test('both fail closed, at the creation of pods alone', () => {
    for (const kind of ['MutatingAdmissionPolicy', 'ValidatingAdmissionPolicy'])
      expect(only(manifests, kind)['spec']).toMatchObject({
        failurePolicy: 'Fail',
        matchConstraints: {
          resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
        },
      })
  })

  test('policies.yaml is what the chart says without values: run this test with --update after a change', async () => {
    const { stdout } = helm(['template', 'sallyport', CHART], { injection: { enabled: true } })
    const ours = stdout.replaceAll(
      /^(?:# Source: .*|    (?:helm\.sh|app\.kubernetes\.io\/(?:instance|managed-by)).*)\n/gm,
      '',
    )
    const head = '# Made from ../helm/sallyport by a test, which compares: change it there.\n'
    await expect(`${head}${ours}`).toMatchFileSnapshot('../../../deploy/kubernetes/injection/policies.yaml')
  })

  test('policies.yaml is what an API server takes, as kubectl makes it of its folder', () => {
    const folder = join(CHART, '../../injection')
    const built = readManifests(execFileSync(kubernetesTool('kubectl'), ['kustomize', folder], { encoding: 'utf8' }))
    expect(faultsOfAll(built)).toEqual([])
    expect(built.map(({ kind }) => kind).toSorted()).toEqual(manifests.map(({ kind }) => kind).toSorted())
  })

  test('other values are in the policy, quotes and mappings included', () => {
    const csi = { driver: 'secrets-store.csi.k8s.io', readOnly: true, volumeAttributes: { 'a"b\\c': "it's <&>" } }
    use({
      image: { repository: 'registry.example.com/sallyport', tag: '9' },
      sidecar: { secretsVolume: { csi }, resources: { limits: { memory: '1Gi' } } },
      injection: { prefix: 'egress.example.com' },
    })
    const labels = { 'egress.example.com/inject': 'true' }
    const after = mutated(policy, podOf(ONE, { labels }))
    expect(faultsOfAll([after as Manifest])).toEqual([])
    const { initContainers, volumes } = specOf(after)
    expect(initContainers?.[0]).toMatchObject({ image: 'registry.example.com/sallyport:9' })
    expect(initContainers?.[0]?.resources?.limits).toEqual({ memory: '1Gi' })
    expect(volumes).toContainEqual({ name: 'sallyport-secrets', csi })
    use({})
  })
})

function expectKept(before: readonly Container[], after: readonly Container[]): void {
  expect(after.map(({ name }) => name)).toEqual(before.map(({ name }) => name))
  for (const [index, { env = [], volumeMounts = [], ...rest }] of before.entries()) {
    expect(after[index]).toMatchObject(rest)
    // First, so that others may refer to it.
    const [key, ...others] = after[index]?.env ?? []
    expect(key).toMatchObject({
      name: 'SALLYPORT_KEY',
      valueFrom: { secretKeyRef: { name: 'sallyport-app', key: 'key' } },
    })
    expect(others.slice(0, env.length)).toEqual(env)
    expect(after[index]?.volumeMounts?.slice(0, volumeMounts.length)).toEqual(volumeMounts)
  }
}

const LABEL = { 'sallyport/inject': 'true' }

interface Binding {
  readonly policyName: string
  readonly matchResources?: { readonly namespaceSelector?: Parameters<typeof selects>[0] }
}
