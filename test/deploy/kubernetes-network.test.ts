import { expect, test } from 'vitest'
import { named, rendered } from '../support/kubernetes-overlays.ts'
import { podOf } from '../support/kubernetes-pod.ts'
import { hasKubernetesTools } from '../support/kubernetes-tools.ts'
import { type End, mayConnect } from '../support/network-policy.ts'

const noTools = !hasKubernetesTools()
const manifests = noTools ? [] : rendered('overlays/gateway')

function podOfDeployment(name: string, ip: string): End {
  const manifest = named(manifests, 'Deployment', name)
  return { namespace: manifest.metadata.namespace ?? '', labels: podOf(manifest)?.labels ?? {}, ip }
}

const ENDS: Readonly<Record<string, () => End>> = {
  app: () => podOfDeployment('checkout', '10.244.0.8'),
  gateway: () => podOfDeployment('sallyport', '10.244.0.7'),
  'a pod without labels': () => ({ namespace: 'shop', ip: '10.244.0.9' }),
  'a pod elsewhere': () => ({
    namespace: 'other',
    labels: { 'app.kubernetes.io/name': 'sallyport' },
    ip: '10.244.3.1',
  }),
  dns: () => ({ namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns' }, ip: '10.96.0.10' }),
  prometheus: () => ({ namespace: 'monitoring', ip: '10.244.4.1' }),
  upstream: () => ({ ip: '93.184.215.14' }),
  'upstream by IPv6': () => ({ ip: '2606:2800:21f:cb07::1' }),
  metadata: () => ({ ip: '169.254.169.254' }),
  database: () => ({ ip: '10.0.0.5' }),
}

test.skipIf(noTools).each([
  ['app', 'dns', 53, true],
  ['app', 'gateway', 15001, true],
  ['app', 'gateway', 15003, true],
  ['app', 'gateway', 15091, false],
  ['app', 'upstream', 443, false],
  ['app', 'upstream by IPv6', 443, false],
  ['app', 'upstream', 53, false],
  ['app', 'metadata', 80, false],
  ['app', 'database', 5432, false],
  ['app', 'a pod elsewhere', 15001, false],
  ['app', 'a pod without labels', 8080, false],
  ['a pod without labels', 'upstream', 443, false],
  ['a pod without labels', 'gateway', 15003, true],
  ['a pod elsewhere', 'gateway', 15003, false],
  ['prometheus', 'gateway', 15091, true],
  ['prometheus', 'gateway', 15003, false],
  ['gateway', 'upstream', 443, true],
  ['gateway', 'upstream', 80, false],
  ['gateway', 'database', 5432, true],
  ['gateway', 'metadata', 443, false],
  ['gateway', 'metadata', 80, false],
  ['gateway', 'dns', 53, true],
])('the policies of the gateway: from %s to %s, port %i: %s', (from, to, port, isOpen) => {
  const wish = {
    from: (ENDS[from] ?? fail)(),
    to: (ENDS[to] ?? fail)(),
    port,
    protocol: port === 53 ? 'UDP' : 'TCP',
  } as const
  expect(mayConnect(manifests, wish)).toBe(isOpen)
})

function fail(): never {
  throw new Error('nobody is called that')
}

test.skipIf(noTools)('without the policies everything is open: they are what enforces it', () => {
  const without = manifests.filter(({ kind }) => kind !== 'NetworkPolicy')
  const wish = { from: podOfDeployment('checkout', '10.244.0.8'), to: { ip: '93.184.215.14' }, port: 443 }
  expect(mayConnect(without, wish)).toBe(true)
})
