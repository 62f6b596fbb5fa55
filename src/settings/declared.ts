import type { Declared, DeclaredConnection } from '../admin/ports.ts'
import { connectOf, holderOf, portOf } from './policy.ts'
import type { ConnectionSettings, Settings } from './schema.ts'

/** What the settings say, as the admin API shows it. */
export function declaredIn(settings: Settings): Declared {
  const { connections, callers, grants, ca } = settings
  const hasAuthority = ca !== undefined
  return {
    connections: new Map(Object.entries(connections).map(([name, one]) => [name, declaredOf(one, hasAuthority)])),
    callers: new Map(Object.entries(callers).map(([name, { kind }]) => [name, kind])),
    grants: grants.map((grant, index) => ({
      id: `grants[${index}]`,
      holder: holderOf(grant),
      connection: grant.connection,
      rules: grant.rules ?? [],
      until: grant.until,
    })),
    mayName: () => false,
  }
}

function declaredOf(connection: ConnectionSettings, hasAuthority: boolean): DeclaredConnection {
  const { hosts, credential, inject, disabled } = connection
  return {
    hosts,
    port: portOf(connection),
    connect: connectOf(connection, hasAuthority),
    source: credential.kind,
    injection: credential.kind === 'none' ? undefined : (inject?.kind ?? 'bearer'),
    disabled,
  }
}
