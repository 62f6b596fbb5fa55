import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { appChart } from '../../support/chart-readme.ts'
import { CHART, helm, only, render, type Values } from '../../support/helm.ts'
import { podOf } from '../../support/kubernetes-pod.ts'
import { faultsOfAll, type Manifest } from '../../support/kubernetes-strict.ts'
import { hasKubernetesTools } from '../../support/kubernetes-tools.ts'
import { podSecurityFaults } from '../../support/pod-security.ts'

/** Of the Prometheus operator, and of cert-manager. */
const CUSTOM = {
  custom: [
    ...['PodMonitor', 'ServiceMonitor'].map((kind) => `monitoring.coreos.com/v1 ${kind}`),
    ...['Certificate', 'Issuer'].map((kind) => `cert-manager.io/v1 ${kind}`),
  ],
}
const GATEWAY = { enabled: true, tlsSecretName: 'gateway-tls' }
const CSI = { driver: 'secrets-store.csi.k8s.io', readOnly: true, volumeAttributes: { secretProviderClass: 'crm' } }

/** Values somebody might have, and the kinds that they install. */
const SETS: Readonly<Record<string, { readonly values: Values; readonly kinds: string }>> = {
  nothing: { values: {}, kinds: '' },
  'settings of sidecars': { values: { sidecar: { settings: { create: true } } }, kinds: 'ConfigMap' },
  'a gateway': {
    values: { gateway: GATEWAY },
    kinds: 'NetworkPolicy PodDisruptionBudget ServiceAccount ConfigMap Service Deployment',
  },
  'a gateway with everything': {
    values: {
      fullnameOverride: 'way-out',
      image: {
        repository: 'registry.example.com/platform/sallyport',
        digest: `sha256:${'a'.repeat(64)}`,
        pullSecrets: [{ name: 'registry' }],
      },
      gateway: {
        ...GATEWAY,
        secretsVolume: { csi: CSI },
        storeSecretName: 'gateway-store',
        podLabels: { team: 'platform' },
        podAnnotations: { 'example.com/owner': 'platform' },
        nodeSelector: { 'kubernetes.io/arch': 'amd64' },
        tolerations: [{ key: 'egress', operator: 'Exists', effect: 'NoSchedule' }],
        priorityClassName: 'system-cluster-critical',
        serviceAccount: { name: 'way-out', annotations: { 'example.com/role': 'egress' }, tokenReview: true },
        service: { annotations: { 'example.com/name': 'egress' } },
        autoscaling: { enabled: true },
        networkPolicy: {
          clients: [{ namespaceSelector: { matchLabels: { egress: 'allowed' } } }],
          scrapers: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
          egress: [{ to: [{ ipBlock: { cidr: '10.20.0.0/16' } }], ports: [{ port: 5432, protocol: 'TCP' }] }],
        },
        namespacePolicy: { enabled: true, egress: [{ to: [{ podSelector: {} }] }] },
      },
      monitoring: { serviceMonitor: { enabled: true, labels: { release: 'prometheus' } } },
    },
    kinds: [
      'NetworkPolicy NetworkPolicy PodDisruptionBudget ServiceAccount ConfigMap',
      'ClusterRole ClusterRoleBinding Service Deployment HorizontalPodAutoscaler ServiceMonitor',
    ].join(' '),
  },
  'a gateway whose certificate is made': {
    values: { gateway: { enabled: true, certificate: { enabled: true } } },
    kinds: [
      'NetworkPolicy PodDisruptionBudget ServiceAccount ConfigMap Service Deployment',
      'Issuer Issuer Certificate Certificate',
    ].join(' '),
  },
  'a gateway whose certificate others sign': {
    values: {
      gateway: { enabled: true, certificate: { enabled: true, issuer: { name: 'acme', kind: 'ClusterIssuer' } } },
    },
    kinds: 'NetworkPolicy PodDisruptionBudget ServiceAccount ConfigMap Service Deployment Certificate',
  },
  'a gateway without its policies': {
    values: {
      gateway: { ...GATEWAY, networkPolicy: { enabled: false }, podDisruptionBudget: { enabled: false } },
    },
    kinds: 'ServiceAccount ConfigMap Service Deployment',
  },
  injection: {
    values: { injection: { enabled: true }, monitoring: { podMonitor: { enabled: true } } },
    kinds: [
      'MutatingAdmissionPolicy MutatingAdmissionPolicyBinding',
      'ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding PodMonitor',
    ].join(' '),
  },
  'injection before Kubernetes 1.36': {
    values: { injection: { enabled: true, apiVersion: 'v1beta1' } },
    kinds: [
      'MutatingAdmissionPolicy MutatingAdmissionPolicyBinding',
      'ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding',
    ].join(' '),
  },
}

function podsOf(manifests: readonly Manifest[]) {
  return manifests.flatMap((one) => podOf(one) ?? [])
}

describe.skipIf(!hasKubernetesTools())('the chart', () => {
  test.each(Object.entries(SETS))(
    '%s: helm finds nothing to say of it, nor would an API server',
    (_, { values, kinds }) => {
      const linted = helm(['lint', '--strict', CHART], values)
      expect(linted.stdout).toContain('1 chart(s) linted, 0 chart(s) failed')
      const manifests = render(values)
      expect(manifests.map((one) => one.kind).toSorted()).toEqual(kinds.split(' ').filter(Boolean).toSorted())
      expect(faultsOfAll(manifests, CUSTOM)).toEqual([])
      for (const { spec } of podsOf(manifests)) expect(podSecurityFaults(spec, 'restricted')).toEqual([])
    },
  )

  test('lets the gateway ask about tokens, and nothing else of the cluster', () => {
    const manifests = render({ gateway: { ...GATEWAY, serviceAccount: { tokenReview: true } } })
    const role = only(manifests, 'ClusterRole')
    expect(role).toMatchObject({
      rules: [{ apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] }],
    })
    expect(only(manifests, 'ClusterRoleBinding')['roleRef']).toMatchObject({ name: role.metadata.name })
  })

  test('has the version of the program, and its image is called so', () => {
    const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'))
    expect(parse(readFileSync(`${CHART}/Chart.yaml`, 'utf8'))).toMatchObject({ version, appVersion: version })
    const [pod] = podsOf(render({ gateway: GATEWAY }))
    expect(pod?.spec.containers[0]?.image).toBe(`sallyport:${version}`)
  })

  test('other settings roll out, and nothing else does', () => {
    const templateOf = (gateway: Values) =>
      only(render({ gateway: { ...GATEWAY, ...gateway } }), 'Deployment')['spec'] as { template: unknown }
    const { template } = templateOf({})
    expect(templateOf({ settings: { allowlist: ['api.crm.example.com'] } }).template).not.toEqual(template)
    expect(templateOf({ replicas: 3, podDisruptionBudget: { maxUnavailable: 2 } }).template).toEqual(template)
  })

  test('without `rollout` nothing does, and the pods that run take them in', () => {
    const deploymentOf = (gateway: Values) =>
      only(render({ gateway: { ...GATEWAY, rollout: false, ...gateway } }), 'Deployment')
    expect(podOf(deploymentOf({}))?.spec.containers[0]?.args).toContain('--watch')
    expect(deploymentOf({ settings: { allowlist: ['api.crm.example.com'] } })).toEqual(deploymentOf({}))
  })

  test('what is to find the pods of the gateway finds them', () => {
    const manifests = render(SETS['a gateway with everything']?.values ?? {})
    const [pod] = podsOf(manifests)
    const selectors = [
      at(manifests, 'Service', 'spec', 'selector'),
      at(manifests, 'Deployment', 'spec', 'selector', 'matchLabels'),
      at(manifests, 'PodDisruptionBudget', 'spec', 'selector', 'matchLabels'),
      at(manifests.slice(0), 'NetworkPolicy way-out-gateway', 'spec', 'podSelector', 'matchLabels'),
    ]
    for (const selector of selectors) expect(pod?.labels).toMatchObject(selector as object)
    const scaled = at(manifests, 'HorizontalPodAutoscaler', 'spec', 'scaleTargetRef')
    expect(scaled).toMatchObject({ kind: 'Deployment', name: only(manifests, 'Deployment').metadata.name })
    expect(at(manifests, 'Deployment', 'spec', 'replicas')).toBeUndefined()
    const monitored = at(manifests, 'ServiceMonitor', 'spec', 'selector', 'matchLabels')
    expect(only(manifests, 'Service').metadata.labels).toMatchObject(monitored as object)
  })

  test('Prometheus is told of ports by the names that they have', () => {
    const gateway = render(SETS['a gateway with everything']?.values ?? {})
    const { ports } = only(gateway, 'Service')['spec'] as { ports: readonly { name: string; targetPort: string }[] }
    const [endpoint] = at(gateway, 'ServiceMonitor', 'spec', 'endpoints') as readonly { port: string }[]
    const { targetPort } = ports.find(({ name }) => name === endpoint?.port) ?? {}
    expect(podsOf(gateway)[0]?.spec.containers[0]?.ports).toContainEqual({ name: targetPort, containerPort: 15091 })

    const [scraped] = at(
      render(SETS['injection']?.values ?? {}),
      'PodMonitor',
      'spec',
      'podMetricsEndpoints',
    ) as readonly {
      port: string
    }[]
    const [sidecar] = podsOf(render({}, appChart()))[0]?.spec.initContainers ?? []
    expect(sidecar?.ports).toContainEqual({ name: scraped?.port, containerPort: 15091 })
  })

  test('a certificate that is made is for the Service, and is what the pod mounts', () => {
    const manifests = render(SETS['a gateway whose certificate is made']?.values ?? {})
    const name = only(manifests, 'Service').metadata.name
    const made = only(manifests, 'Certificate', name)['spec'] as Values
    expect(made['dnsNames']).toEqual([name, `${name}.shop`, `${name}.shop.svc`, `${name}.shop.svc.cluster.local`])
    expect(podsOf(manifests)[0]?.spec.volumes).toContainEqual(
      expect.objectContaining({ name: 'tls', secret: { secretName: made['secretName'], defaultMode: 0o440 } }),
    )
    expect(only(manifests, 'Issuer', (made['issuerRef'] as { name: string }).name)['spec']).toEqual({
      ca: { secretName: at(manifests, `Certificate ${name}-authority`, 'spec', 'secretName') },
    })
  })

  test('what scrapes calls the job by the name that alerts look for', () => {
    const manifests = render({
      gateway: GATEWAY,
      monitoring: { podMonitor: { enabled: true }, serviceMonitor: { enabled: true } },
    })
    const job = { action: 'replace', targetLabel: 'job', replacement: 'sallyport' }
    expect(at(manifests, 'PodMonitor', 'spec', 'podMetricsEndpoints')).toMatchObject([{ relabelings: [job] }])
    expect(at(manifests, 'ServiceMonitor', 'spec', 'endpoints')).toMatchObject([{ relabelings: [job] }])
  })

  test('the policy that enforces is on every pod of the namespace, and has no way out but DNS and the gateway', () => {
    const manifests = render({ gateway: { ...GATEWAY, namespacePolicy: { enabled: true } } })
    const policy = only(manifests, 'NetworkPolicy', 'demo-sallyport-only-way-out')['spec'] as Values
    expect(policy['podSelector']).toEqual({})
    expect(policy['policyTypes']).toEqual(['Egress'])
    const [pod] = podsOf(manifests)
    expect(policy['egress']).toMatchObject([
      { ports: [{ port: 53 }, { port: 53 }], to: [{ namespaceSelector: {}, podSelector: {} }] },
      { ports: [{ port: 15001 }, { port: 15003 }], to: [{ podSelector: { matchLabels: {} } }] },
    ])
    const [, gateway] = policy['egress'] as { to: { podSelector: { matchLabels: object } }[] }[]
    expect(pod?.labels).toMatchObject(gateway?.to[0]?.podSelector.matchLabels ?? { none: 'of them' })
  })
})

function at(manifests: readonly Manifest[], kindAndName: string, ...path: readonly string[]): unknown {
  const [kind = '', name] = kindAndName.split(' ')
  return path.reduce<unknown>((value, key) => (value as Values | undefined)?.[key], only(manifests, kind, name))
}
