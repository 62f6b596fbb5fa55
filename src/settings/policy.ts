import type { Grant, Place, Policy } from '../core/decide.ts'
import { HostTable } from '../core/host-table.ts'
import { compileRule } from '../core/rule.ts'
import type { ConnectionSettings, Settings } from './schema.ts'

/** Compiles what the settings say about who may go where into what a decision looks up. */
export function compilePolicy(settings: Settings): Policy {
  const places = Object.entries(settings.connections).map(([name, connection]) => placeOf(name, connection))
  return {
    allowlist: new HostTable(settings.allowlist.map((pattern) => [pattern, pattern])),
    places: new HostTable(places.flatMap(({ place, hosts }) => hosts.map((host) => [host, place] as const))),
    placesByName: new Map(places.map(({ place }) => [place.name, place])),
    grants: indexGrants(settings.grants.map(grantOf)),
  }
}

/** The port that a connection is dialled at. */
export function portOf({ port, unsafeAllowPlaintextUpstream }: ConnectionSettings): number {
  return port ?? (unsafeAllowPlaintextUpstream ? 80 : 443)
}

function placeOf(name: string, connection: ConnectionSettings): { place: Place; hosts: readonly string[] } {
  const home = connection.hosts.find((host) => !host.startsWith('*.'))
  return {
    place: { name, home, port: portOf(connection), basePath: connection.basePath ?? '' },
    hosts: connection.hosts,
  }
}

function grantOf({ caller, connection, rules, until }: Settings['grants'][number], index: number): Grant {
  return { id: `grants[${index}]`, caller, connection, rules: (rules ?? []).map(compileRule), until }
}

function indexGrants(grants: readonly Grant[]): Policy['grants'] {
  const byCaller = new Map<string, Map<string, Grant[]>>()
  for (const grant of grants) {
    const byConnection = byCaller.get(grant.caller) ?? new Map<string, Grant[]>()
    byCaller.set(
      grant.caller,
      byConnection.set(grant.connection, [...(byConnection.get(grant.connection) ?? []), grant]),
    )
  }
  return byCaller
}
