import type { Settings } from '../settings/schema.ts'
import { Remarked, remarkedYaml } from '../settings/yaml-text.ts'
import type { Egress } from './egress.ts'
import { blocksOf, inWords, type Need, serviceIn, single, widest } from './need.ts'
import { appPods, doorsForApps, healthPort, type OpenPort, ownPods, type Pods } from './pods.ts'
import type { Resolver } from './resolver.ts'
import { SHARED_ADDRESS, unpinnedOf, warningsOf } from './words.ts'

const NAMESPACE = 'kubernetes.io/metadata.name'
const API_SERVER_PORT = 6443
const BEHIND = ', behind its service: where that is another address, --also ADDRESS:6443'

/** Policies of networking.k8s.io/v1, which know addresses and no names. @throws Error in words */
export function networkPolicies(settings: Settings, egress: Egress, pods: Pods): string {
  const own = egressRules(egress, pods.clusterDomain)
  const notes = [LIMIT, ...warningsOf(egress), ...unpinnedOf(egress, pods.clusterDomain)]
  if (pods.shape === 'sidecar')
    return remarkedYaml([
      {
        heading: [...SHARED_ADDRESS, ...notes],
        value: policy('sallyport-sidecar', pods.namespace, {
          podSelector: appPods(pods),
          policyTypes: ['Egress'],
          egress: own,
        }),
      },
    ])
  const doors = doorsForApps(settings)
  return remarkedYaml([
    {
      heading: [
        'The apps: to Sallyport, to DNS, and nowhere else. DNS is a way out by itself for who has a name server somewhere: the form',
        'for Cilium (sallyport export cilium) closes that as well.',
      ],
      value: policy('sallyport-apps', pods.appsNamespace ?? pods.namespace, {
        podSelector: appPods(pods),
        policyTypes: ['Egress'],
        egress: [...dnsRules(undefined), { to: [peer(pods, 'sallyport')], ports: doors.map(tcp) }],
      }),
    },
    {
      heading: ['Sallyport: in by its doors, out to what the settings name.', ...notes],
      value: policy('sallyport', pods.namespace, {
        podSelector: ownPods(pods),
        policyTypes: ['Ingress', 'Egress'],
        ingress: [
          { from: [peer(pods, 'apps')], ports: doors.map(tcp) },
          ...healthPort(settings).map((port) => ({ ports: [tcp(port)] })),
        ],
        egress: own,
      }),
    },
  ])
}

const LIMIT =
  'A NetworkPolicy knows no names: where no address is pinned, a port is open to every public address. The names are in the comments, and Sallyport itself holds to them.'

function policy(name: string, namespace: string | undefined, spec: object): object {
  const metadata = { name, namespace, labels: { 'app.kubernetes.io/part-of': 'sallyport' } }
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata, spec }
}

/** The other side, by its namespace too where that is another one. */
function peer(pods: Pods, who: 'apps' | 'sallyport'): object {
  const { namespace, appsNamespace = namespace } = pods
  const theirs = who === 'apps' ? appsNamespace : namespace
  const podSelector = who === 'apps' ? appPods(pods) : ownPods(pods)
  if (appsNamespace === namespace || theirs === undefined) return { podSelector }
  return { namespaceSelector: { matchLabels: { [NAMESPACE]: theirs } }, podSelector }
}

function tcp({ port, why }: OpenPort): Remarked {
  return new Remarked({ protocol: 'TCP', port }, [why])
}

function egressRules({ needs, resolvers, asksDns }: Egress, clusterDomain: string): readonly object[] {
  return [...(asksDns ? dnsRules(resolvers) : []), ...rulesFor(needs, clusterDomain)]
}

function dnsRules(resolvers: readonly Resolver[] | undefined): readonly object[] {
  if (!resolvers) {
    const to = [new Remarked(CLUSTER_DNS, ['DNS of the cluster; for another one: --dns ADDRESS'])]
    return [{ to, ports: bothProtocols(53) }]
  }
  return [...Map.groupBy(resolvers, ({ port }) => port)].map(([port, same]) => ({
    to: same.map(({ address }) => new Remarked({ ipBlock: { cidr: single(address) } }, ['name server'])),
    ports: bothProtocols(port),
  }))
}

const CLUSTER_DNS = {
  namespaceSelector: { matchLabels: { [NAMESPACE]: 'kube-system' } },
  podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } },
}

function bothProtocols(port: number): readonly object[] {
  return [
    { protocol: 'UDP', port },
    { protocol: 'TCP', port },
  ]
}

/** What leads to the same places is one rule. */
function rulesFor(needs: readonly Need[], clusterDomain: string): readonly object[] {
  const parts = needs.flatMap((need) => partsOf(need, clusterDomain))
  return [...Map.groupBy(parts, ({ key }) => key).values()].flatMap((same) => {
    const [first] = same
    if (!first) return []
    const byPort = [...Map.groupBy(same, ({ port }) => port)].toSorted(([one], [other]) => one - other)
    const ports = byPort.map(
      ([port, all]) =>
        new Remarked(
          { protocol: 'TCP', port },
          all.map(({ remark }) => remark),
        ),
    )
    return [{ to: first.to, ports }]
  })
}

interface Part {
  readonly key: string
  readonly to: readonly object[]
  readonly port: number
  readonly remark: string
}

function partsOf(need: Need, clusterDomain: string): readonly Part[] {
  const remark = inWords(need)
  const part = (to: readonly object[], port = need.port, more = ''): Part => {
    return { key: JSON.stringify(to), to, port, remark: remark + more }
  }
  const service = serviceIn(need.host, clusterDomain)
  const { named, open } = blocksOf(need)
  const exact = named.length === 0 ? [] : [part(widest(named).map((cidr) => ({ ipBlock: { cidr } })))]
  if (service && need.addresses === undefined) {
    // The API server is no pod; behind its service it listens elsewhere, and policies are judged there.
    if (service.name === 'kubernetes' && service.namespace === 'default')
      return exact.flatMap(({ to }) => [part(to), part(to, API_SERVER_PORT, BEHIND)])
    return [part([{ namespaceSelector: { matchLabels: { [NAMESPACE]: service.namespace } } }])]
  }
  if (open.length === 0) return exact
  const anywhere = open.map(({ cidr, except }) => ({ ipBlock: { cidr, ...(except.length > 0 && { except }) } }))
  return [...exact, part(anywhere)]
}
