import type { Settings } from '../settings/schema.ts'
import { Remarked, remarkedYaml } from '../settings/yaml-text.ts'
import type { Egress } from './egress.ts'
import { blocksOf, type Need, serviceIn, single } from './need.ts'
import { appPods, doorsForApps, healthPort, type OpenPort, ownPods, type Pods } from './pods.ts'
import { SHARED_ADDRESS, warningsOf } from './words.ts'

const NAMESPACE = 'k8s:io.kubernetes.pod.namespace'

/** Policies of cilium.io/v2, which know names. @throws Error in words */
export function ciliumPolicies(settings: Settings, egress: Egress, pods: Pods): string {
  const own = egressRules(egress, pods.clusterDomain)
  const notes = [...LIMITS, ...warningsOf(egress)]
  if (pods.shape === 'sidecar')
    return remarkedYaml([
      {
        heading: [...SHARED_ADDRESS, ...notes],
        value: policy('sallyport-sidecar', pods.namespace, { endpointSelector: appPods(pods), egress: own }),
      },
    ])
  const doors = doorsForApps(settings)
  return remarkedYaml([
    {
      heading: ['The apps: to Sallyport, to names of the cluster, and nowhere else.'],
      value: policy('sallyport-apps', pods.appsNamespace ?? pods.namespace, {
        endpointSelector: appPods(pods),
        egress: [
          dnsRule(undefined, [{ matchPattern: `*.${pods.namespace ?? '*'}.svc.${pods.clusterDomain}` }]),
          { toEndpoints: [peer(pods, 'sallyport')], toPorts: [{ ports: doors.map(tcp) }] },
        ],
      }),
    },
    {
      heading: ['Sallyport: in by its doors, out to the names that the settings have.', ...notes],
      value: policy('sallyport', pods.namespace, {
        endpointSelector: ownPods(pods),
        ingress: [
          { fromEndpoints: [peer(pods, 'apps')], toPorts: [{ ports: doors.map(tcp) }] },
          ...healthPort(settings).map((port) => ({ fromEntities: ['cluster'], toPorts: [{ ports: [tcp(port)] }] })),
        ],
        egress: own,
      }),
    },
  ])
}

/** @see https://github.com/cilium/cilium/pull/43420 */
const LIMITS: readonly string[] = [
  '"**.NAME" is any depth below NAME from Cilium 1.19 on, as "*.NAME" is to Sallyport. Before that it is one label alone: narrower,',
  'never wider. Cilium goes by the addresses that a name had: what shares an address with it (a CDN) is reached as well, and',
  'Sallyport itself holds to the names.',
]

function policy(name: string, namespace: string | undefined, spec: object): object {
  const metadata = { name, namespace, labels: { 'app.kubernetes.io/part-of': 'sallyport' } }
  return { apiVersion: 'cilium.io/v2', kind: 'CiliumNetworkPolicy', metadata, spec }
}

function peer(pods: Pods, who: 'apps' | 'sallyport'): object {
  const { namespace, appsNamespace = namespace } = pods
  const theirs = who === 'apps' ? appsNamespace : namespace
  const selector = who === 'apps' ? appPods(pods) : ownPods(pods)
  if (appsNamespace === namespace || theirs === undefined) return selector
  return { ...selector, matchLabels: { [NAMESPACE]: theirs, ...selector.matchLabels } }
}

/** Cilium takes ports as texts. */
function tcp({ port, why }: OpenPort): Remarked {
  return new Remarked(portOf(port), [why])
}

function portOf(port: number): object {
  return { port: String(port), protocol: 'TCP' }
}

function egressRules(egress: Egress, clusterDomain: string): readonly object[] {
  const asked = egress.needs.filter(({ addresses }) => addresses === undefined)
  const names = [...new Set(egress.needs.filter(isAsked).map(({ host }) => host))].map(selectorOf)
  const rules = [
    ...(names.length > 0 ? [dnsRule(egress.resolvers, names)] : []),
    ...namedRules(asked, clusterDomain),
    ...pinnedRules(egress.needs),
  ]
  // Without a rule there is no policy: what is left is one that allows nothing.
  return rules.length > 0 ? rules : [{}]
}

/** Also today's addresses are found by asking, tomorrow. */
function isAsked({ addresses, isOfToday }: Need): boolean {
  return addresses === undefined || isOfToday === true
}

/** Through Cilium's own DNS proxy: it is where Cilium learns which addresses a name has. */
function dnsRule(resolvers: Egress['resolvers'], names: readonly object[]): object {
  const dns = (port: number) => [{ ports: [{ port: String(port), protocol: 'ANY' }], rules: { dns: names } }]
  if (!resolvers) return { toEndpoints: [{ matchLabels: CLUSTER_DNS }], toPorts: dns(53) }
  return {
    toCIDR: resolvers.map(({ address }) => single(address)),
    toPorts: [...new Set(resolvers.map(({ port }) => port))].flatMap(dns),
  }
}

const CLUSTER_DNS = { [NAMESPACE]: 'kube-system', 'k8s:k8s-app': 'kube-dns' }

/** "*" is a part of one label to Cilium, and any number of labels to Sallyport. */
function selectorOf(host: string): object {
  return host.startsWith('*.') ? { matchPattern: `*${host}` } : { matchName: host }
}

/** One rule for each port; services of the cluster are pods, which have no names to Cilium. */
function namedRules(needs: readonly Need[], clusterDomain: string): readonly object[] {
  const outside = needs.filter(({ host }) => serviceIn(host, clusterDomain) === undefined)
  const byPort = [...Map.groupBy(outside, ({ port }) => port)].toSorted(([one], [other]) => one - other)
  return [
    ...byPort.map(([port, all]) => ({
      toFQDNs: all.map((need) => new Remarked(selectorOf(need.host), need.why)),
      toPorts: [{ ports: [portOf(port)] }],
    })),
    ...needs.flatMap((need) => serviceRule(need, clusterDomain)),
  ]
}

function serviceRule({ host, port, why }: Need, clusterDomain: string): readonly object[] {
  const service = serviceIn(host, clusterDomain)
  if (!service) return []
  if (service.name === 'kubernetes' && service.namespace === 'default')
    return [
      {
        toEntities: [new Remarked('kube-apiserver', [`${host}: ${why.join(', ')}`])],
        toPorts: [{ ports: [portOf(port), portOf(6443)] }],
      },
    ]
  const pods = { matchLabels: { [NAMESPACE]: service.namespace } }
  // toServices together with toPorts would open the port to the world (cilium/cilium#20067).
  return [{ toEndpoints: [new Remarked(pods, [`${host}: ${why.join(', ')}`])], toPorts: [{ ports: [portOf(port)] }] }]
}

function pinnedRules(needs: readonly Need[]): readonly object[] {
  return needs
    .filter(({ addresses }) => addresses !== undefined)
    .flatMap((need) => {
      const { named } = blocksOf(need)
      const remark = `${need.host}: ${need.why.join(', ')}`
      if (named.length === 0) return []
      return [{ toCIDR: named.map((cidr) => new Remarked(cidr, [remark])), toPorts: [{ ports: [portOf(need.port)] }] }]
    })
}
