import { HostTable } from '../core/host-table.ts'
import type { SettingsFault } from './fault.ts'
import { allowlistOf } from './policy.ts'
import type { Settings } from './schema.ts'

/** Connections that others are to be minted through, and cannot be asked by us. That they are there and enabled, source-checks.ts sees to. */
export function neighbourFaults(settings: Settings): SettingsFault[] {
  return Object.entries(settings.connections).flatMap(([name, { credential }]) => {
    if (credential.kind !== 'http-mint') return []
    const message = faultOfNeighbour(credential.connection, settings)
    return message === undefined ? [] : [{ path: ['connections', name, 'credential', 'connection'], message }]
  })
}

function faultOfNeighbour(other: string, settings: Settings): string | undefined {
  const { connections } = settings
  const neighbour = Object.hasOwn(connections, other) ? connections[other] : undefined
  if (!neighbour) return undefined
  if (neighbour.credential.kind === 'github-app' && neighbour.credential.perRepository)
    return `use another connection: ${other} has another token for each repository, and none for all`
  if (neighbour.inject?.kind === 'placeholder')
    return `use another connection: ${other} injects into what a caller sends, and here nobody does`
  const host = neighbour.hosts.find((one) => !one.startsWith('*.'))
  if (host === undefined) return `give ${other} an exact host: that one is asked, and a wildcard is none`
  const { hosts } = allowlistOf(settings)
  // Also what we ask ourselves leaves only to where egress may go.
  if (!new HostTable(hosts.map((pattern) => [pattern, pattern])).find(host))
    return `add "${host}" of ${other} to the allowlist: otherwise it may not be asked`
  return undefined
}
