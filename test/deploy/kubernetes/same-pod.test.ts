import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { type MutatingSpec, mutated, type Resource } from '../../support/admission/policy.ts'
import { appChart, filesOfReadme } from '../../support/chart-readme.ts'
import { only, render } from '../../support/helm.ts'
import { podIn as podOfOverlay, rendered } from '../../support/kubernetes-overlays.ts'
import type { Container, PodSpec } from '../../support/kubernetes-pod.ts'
import { faultsOfAll, type Manifest } from '../../support/kubernetes-strict.ts'
import { hasKubernetesTools } from '../../support/kubernetes-tools.ts'
import { podSecurityFaults } from '../../support/pod-security.ts'

interface Workload {
  readonly spec: { readonly template: { readonly metadata: object; readonly spec: PodSpec } }
}

function podIn(manifests: readonly Manifest[]): PodSpec {
  // A Deployment, whose types the strict check has seen.
  return (only(manifests, 'Deployment', 'checkout') as unknown as Workload).spec.template.spec
}

function kustomized(): PodSpec {
  return podOfOverlay(rendered('overlays/sidecar'), 'Deployment', 'checkout')
}

/** What the three have in common: the names of ConfigMaps end in a sum in Kustomize, and lists have an order of their own. */
function whatSallyportAdds({ initContainers = [], containers, volumes = [] }: PodSpec): object {
  const [app] = containers
  const named = volumes.map((one) => [
    one.name,
    JSON.parse(JSON.stringify(one).replace(/(sallyport-settings)-\w{10}"/, '$1"')),
  ])
  const [first, ...others] = app?.env ?? []
  return {
    sidecar: initContainers[0],
    volumes: Object.fromEntries(named),
    first,
    env: Object.fromEntries(others.map(({ name, ...rest }) => [name, rest])),
    mounts: Object.fromEntries((app?.volumeMounts ?? []).map((one) => [one.mountPath, one])),
  }
}

/** Without labels and names; without what the container says once more of its own security. */
function whatAGatewayIs({ containers, volumes = [], securityContext, terminationGracePeriodSeconds }: PodSpec): object {
  const [{ args, image, ports, resources, lifecycle, volumeMounts, startupProbe, livenessProbe, readinessProbe } = {}] =
    containers as readonly Partial<Container>[]
  const probes = [startupProbe, livenessProbe, readinessProbe].map((probe) => probe?.httpGet?.path)
  const { settings: _, ...others } = Object.fromEntries(volumes.map(({ name, ...rest }) => [name, rest]))
  const container = { args, image, ports, resources, lifecycle, volumeMounts, probes }
  return { ...container, volumes: others, securityContext, terminationGracePeriodSeconds }
}

describe.skipIf(!hasKubernetesTools())('the same values make the same pod', () => {
  test('by the Kustomize component and by the templates of the chart, as its README includes them', () => {
    const manifests = render({}, appChart())
    expect(faultsOfAll(manifests)).toEqual([])
    const pod = podIn(manifests)
    expect(podSecurityFaults(pod, 'restricted')).toEqual([])
    const expected = kustomized()
    expect(expected.initContainers).toMatchObject([{ name: 'sallyport', restartPolicy: 'Always' }])
    expect(whatSallyportAdds(pod)).toEqual(whatSallyportAdds(expected))
    expect(pod.automountServiceAccountToken).toBe(expected.automountServiceAccountToken)
    expect(pod.initContainers).toHaveLength(1)
  })

  test('by the Kustomize component and by the policy that injects', () => {
    const policy = only(render({ injection: { enabled: true } }), 'MutatingAdmissionPolicy')['spec'] as MutatingSpec
    const bare = { containers: [{ name: 'checkout', image: 'checkout:1' }] }
    const pod: Resource = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', labels: LABEL }, spec: bare }
    const injected = mutated(policy, pod)['spec'] as unknown as PodSpec
    expect(whatSallyportAdds(injected)).toEqual(whatSallyportAdds(kustomized()))
  })

  test('other settings roll the app of the README out', () => {
    const template = (values: object) =>
      only(render(values as Record<string, unknown>, appChart()), 'Deployment')['spec'] as Workload['spec']
    const allowlist = { sallyport: { sidecar: { settings: { content: { allowlist: ['b.example.com'] } } } } }
    expect(template(allowlist).template).not.toEqual(template({}).template)
  })

  test('by the overlay of the gateway and by the chart, but for names', () => {
    const values = { gateway: { enabled: true, tlsSecretName: 'sallyport-tls', storeSecretName: 'sallyport-store' } }
    const ours = only(render(values), 'Deployment') as unknown as Workload
    const theirs = podOfOverlay(rendered('overlays/gateway'), 'Deployment', 'sallyport')
    expect(whatAGatewayIs(ours.spec.template.spec)).toEqual(whatAGatewayIs(theirs))
  })

  test('the gateway of the README is what an API server takes', () => {
    const manifests = render(parse(filesOfReadme().get('gateway.yaml') ?? ''))
    expect(faultsOfAll(manifests)).toEqual([])
    expect(manifests.map(({ kind }) => kind)).toContain('Deployment')
  })
})

const LABEL = { 'sallyport/inject': 'true' }
