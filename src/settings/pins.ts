import { HostTable } from '../core/host-table.ts'
import { issuerSettings } from '../credentials/registry.ts'
import { toBlockList } from '../forms/network.ts'
import { urlOf } from '../oauth/endpoint-settings.ts'
import { classify, isAllowed } from '../wire/address.ts'
import type { SettingsFault } from './fault.ts'
import type { ConnectionSettings, Settings } from './schema.ts'

/** Who dials a pinned name, and which addresses it may have there. */
interface Dialler {
  readonly place: string
  readonly allowPrivate: readonly string[]
}

/** Names that `dns.hosts` pins to addresses which whoever dials them may not dial: each request for them is refused. */
export function forbiddenPins({ dns, connections }: Settings): SettingsFault[] {
  const upstreams = new HostTable(Object.entries(connections).flatMap(upstreamRows))
  const issuers = new Map(Object.entries(connections).flatMap(issuerRows))
  return Object.entries(dns.hosts).flatMap(([host, addresses]) =>
    [upstreams.find(host), issuers.get(host)].flatMap((dialler) => faultOf(host, addresses, dialler)),
  )
}

function upstreamRows([name, { hosts, allowPrivate }]: readonly [string, ConnectionSettings]) {
  return hosts.map((host) => [host, { place: `connections.${name}`, allowPrivate }] as const)
}

function issuerRows([name, { credential }]: readonly [string, ConnectionSettings]) {
  const issuer = issuerSettings(credential)
  if (!issuer) return []
  const dialler = { place: `connections.${name}.credential`, allowPrivate: issuer.allowPrivate }
  return [[urlOf(issuer).hostname, dialler] as const]
}

function faultOf(host: string, addresses: readonly string[], dialler: Dialler | undefined): SettingsFault[] {
  if (!dialler) return []
  const allowed = toBlockList(dialler.allowPrivate)
  // One that may be dialled is enough.
  if (addresses.some((address) => isAllowed(address, allowed))) return []
  const pinned = addresses.map((address) => `${address} (${classify(address)})`).join(', ')
  const message = `is refused at ${pinned}: add its range to allowPrivate of ${dialler.place}`
  return [{ path: ['dns', 'hosts', host], message }]
}
