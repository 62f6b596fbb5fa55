import { BlockList } from 'node:net'
import type { V1NetworkPolicyPeer, V1NetworkPolicyPort, V1NetworkPolicySpec } from '@kubernetes/client-node'
import type { Manifest } from './kubernetes-strict.ts'

/** One end of a connection: a pod of the cluster, or, without a namespace, an address elsewhere. */
export interface End {
  readonly namespace?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly ip: string
}

/** What somebody wants to open. */
export interface Wish {
  readonly from: End
  readonly to: End
  readonly port: number
  readonly protocol?: 'TCP' | 'UDP'
}

/**
 * Whether NetworkPolicies let it through, as the API documents them: policies add up; a pod that none selects in a direction is open
 * in it; both ends have to agree. Selectors by `matchLabels` alone, and a namespace has no label but its name.
 * @see https://kubernetes.io/docs/concepts/services-networking/network-policies/
 */
export function mayConnect(manifests: readonly Manifest[], wish: Wish): boolean {
  const policies = manifests.filter(({ kind }) => kind === 'NetworkPolicy')
  const of = (end: End, type: string) =>
    policies
      .filter(({ metadata }) => metadata.namespace === end.namespace)
      .map((policy) => policy['spec'] as V1NetworkPolicySpec)
      .filter(
        ({ podSelector, policyTypes }) => fits(podSelector?.matchLabels, end.labels) && policyTypes?.includes(type),
      )
  const out = of(wish.from, 'Egress')
  const into = of(wish.to, 'Ingress')
  const isLetOut =
    out.length === 0 ||
    out.some(({ egress = [] }) => egress.some(({ to, ports }) => isPeer(to, wish.to, wish.from) && isPort(ports, wish)))
  const isLetIn =
    into.length === 0 ||
    into.some(({ ingress = [] }) =>
      ingress.some(({ _from: other, ...rule }) => {
        // The client calls `from` `_from`; a manifest does not.
        const from = other ?? (rule as { from?: V1NetworkPolicyPeer[] }).from
        return isPeer(from, wish.from, wish.to) && isPort(rule.ports, wish)
      }),
    )
  return isLetOut && isLetIn
}

function isPeer(peers: readonly V1NetworkPolicyPeer[] | undefined, end: End, own: End): boolean {
  return peers === undefined || peers.some((peer) => isOne(peer, end, own))
}

function isOne({ ipBlock, namespaceSelector, podSelector }: V1NetworkPolicyPeer, end: End, own: End): boolean {
  if (ipBlock) return isIn([ipBlock.cidr], end.ip) && !isIn(ipBlock.except ?? [], end.ip)
  if (end.namespace === undefined) return false
  const isThere = namespaceSelector
    ? fits(namespaceSelector.matchLabels, { 'kubernetes.io/metadata.name': end.namespace })
    : end.namespace === own.namespace
  return isThere && (podSelector === undefined || fits(podSelector.matchLabels, end.labels))
}

function isPort(ports: readonly V1NetworkPolicyPort[] | undefined, { port, protocol = 'TCP' }: Wish): boolean {
  return ports === undefined || ports.some((one) => one.port === port && (one.protocol ?? 'TCP') === protocol)
}

function isIn(cidrs: readonly string[], ip: string): boolean {
  const list = new BlockList()
  for (const [address = '', prefix] of cidrs.map((cidr) => cidr.split('/'))) list.addSubnet(address, Number(prefix))
  return list.check(ip)
}

function fits(wanted: Readonly<Record<string, string>> = {}, labels: Readonly<Record<string, string>> = {}): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value)
}
