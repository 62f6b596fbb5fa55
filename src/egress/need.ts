import { isIP } from 'node:net'
import { toBlockList } from '../forms/network.ts'
import { canonicalAddress, classify, isAllowed, networkOf } from '../wire/address.ts'
import { contains, type OpenRange, publicRanges } from '../wire/public-ranges.ts'

/** One host and port that have to be reached. */
export interface Need {
  /** An exact name, `*.suffix`, or an address. */
  readonly host: string
  readonly port: number
  /** For whom, each as `token endpoint of crm`. */
  readonly why: readonly string[]
  /** Ranges besides the public ones; `any`: its address is checked by nobody. */
  readonly allowPrivate: readonly string[] | 'any'
  /** Where it is, as settings or today's DNS say: there and nowhere else. Undefined: wherever DNS says. */
  readonly addresses: readonly string[] | undefined
  /** Its addresses may be others tomorrow. */
  readonly isOfToday?: boolean
}

/** A reason to reach a server. */
export interface NeedOf extends Pick<Need, 'host' | 'port' | 'allowPrivate'> {
  readonly why: string
}

/** One need for each host and port. `pins`: addresses by name. */
export function together(found: readonly NeedOf[], pins: Readonly<Record<string, readonly string[]>>): readonly Need[] {
  const groups = [...Map.groupBy(found, ({ host, port }) => `${host}\0${port}`).values()]
  return groups.flatMap((same) => sharedOf(same, pins)).toSorted((one, other) => order(one).localeCompare(order(other)))
}

function sharedOf(same: readonly NeedOf[], pins: Readonly<Record<string, readonly string[]>>): readonly Need[] {
  const [first] = same
  if (!first) return []
  const { host, port } = first
  const ranges = same.map(({ allowPrivate }) => allowPrivate)
  const allowPrivate = ranges.includes('any') ? 'any' : [...new Set(ranges.flat())]
  const known = knownAddresses(host, pins)
  const addresses = known && addressesOf({ allowPrivate }, known)
  return [{ host, port, why: [...new Set(same.map(({ why }) => why))], allowPrivate, addresses }]
}

function knownAddresses(
  host: string,
  pins: Readonly<Record<string, readonly string[]>>,
): readonly string[] | undefined {
  if (isIP(host) !== 0) return [host]
  // RFC 6761 section 6.3: it is never asked about elsewhere.
  return Object.hasOwn(pins, host) ? pins[host] : host === 'localhost' ? ['127.0.0.1', '::1'] : undefined
}

/** By name from its end, so that what belongs together stands together. */
function order({ host, port }: Need): string {
  return `${host.split('.').toReversed().join('.')} ${String(port).padStart(5, '0')}`
}

/** Those that may be dialled, as they are dialled: an IPv4 address in the clothes of IPv6 leaves as IPv4. */
export function addressesOf({ allowPrivate }: Pick<Need, 'allowPrivate'>, known: readonly string[]): readonly string[] {
  const list = allowPrivate === 'any' ? undefined : toBlockList(allowPrivate)
  const allowed = list ? known.filter((address) => isAllowed(address, list)) : known
  return [...new Set(allowed.map(canonicalAddress))]
}

/** For a comment: `api.example.com:443: connection crm`. */
export function inWords({ host, port, why }: Need): string {
  return `${isIP(host) === 6 ? `[${host}]` : host}:${port}: ${why.join(', ')}`
}

/** Where a need leads to, as ranges. */
export interface Blocks {
  /** Single addresses, and private ranges that settings allow. */
  readonly named: readonly string[]
  /** All that is public, or, where nobody checks, everything. */
  readonly open: readonly OpenRange[]
}

const ANYWHERE: readonly OpenRange[] = [
  { cidr: '0.0.0.0/0', except: [] },
  { cidr: '::/0', except: [] },
]

/** The ranges of a need. What is on this very machine needs no network. */
export function blocksOf({ addresses, allowPrivate }: Need): Blocks {
  if (addresses) return { named: addresses.filter(isElsewhere).map(single), open: [] }
  if (allowPrivate === 'any') return { named: [], open: ANYWHERE }
  const { ipv4, ipv6 } = publicRanges()
  const elsewhere = allowPrivate.filter((range) => isElsewhere(range.replace(/\/.*$/, '')))
  return { named: elsewhere.map(networkOf), open: [...ipv4, ...ipv6] }
}

function isElsewhere(address: string): boolean {
  return classify(address) !== 'loopback'
}

/** The range of one address. */
export function single(address: string): string {
  return networkOf(`${address}/${isIP(address) === 4 ? 32 : 128}`)
}

/** Without those that lie within another of them. */
export function widest(ranges: readonly string[]): readonly string[] {
  const all = [...new Set(ranges)]
  return all.filter((range) => !all.some((other) => other !== range && contains(other, range)))
}

/**
 * A service of the cluster, by a name of it: `NAME.NAMESPACE.svc`, with or without the domain of the cluster. With another
 * domain it is a host somewhere else, for which no namespace of the cluster is to be opened.
 */
export function serviceIn(
  host: string,
  clusterDomain: string,
): { readonly name: string; readonly namespace: string } | undefined {
  const [, name, namespace, domain] = /^([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?:\.(.+))?$/.exec(host) ?? []
  if (domain !== undefined && domain !== clusterDomain) return undefined
  return name === undefined || namespace === undefined ? undefined : { name, namespace }
}
