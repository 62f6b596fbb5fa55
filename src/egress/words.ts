import type { Egress } from './egress.ts'
import { serviceIn } from './need.ts'
import { CLUSTER_DOMAIN } from './pods.ts'

/** What nobody may overlook about a policy for a pod with its sidecar. */
export const SHARED_ADDRESS: readonly string[] = [
  'App and sidecar share one pod, and one address. This policy holds for both: it can NOT force the app through the',
  'sidecar. Whatever Sallyport may reach, the app reaches too, without a credential. What forces it: a gateway',
  '(--shape gateway), or a packet filter by uid in the pod (sallyport export nftables).',
]

/** What goes by address alone cannot know where such a server is. */
export function unpinnedOf({ needs }: Egress, clusterDomain = CLUSTER_DOMAIN): readonly string[] {
  return needs
    .filter(
      ({ host, allowPrivate, addresses }) =>
        allowPrivate === 'any' && !addresses && serviceIn(host, clusterDomain) === undefined,
    )
    .map(
      ({ host, port }) =>
        `${host} may be at any address, so port ${port} is open to all of them: pin it by dns.hosts, or by --resolve.`,
    )
}

/** What a person has to know, for the head of a policy. */
export function warningsOf({ notes, needs }: Egress): readonly string[] {
  const today = needs.some(({ isOfToday }) => isOfToday)
  return today ? [...notes, OF_TODAY] : notes
}

const OF_TODAY =
  'WARNING: addresses are those of the moment of export (--resolve). Services move: what was right today is cut off tomorrow. Export anew, often.'
