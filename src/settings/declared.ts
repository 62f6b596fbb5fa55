import type { Declared, DeclaredConnection } from '../admin/ports.ts'
import { ceilingOf } from '../callers/ceiling-of.ts'
import { kindOfCaller } from '../callers/registry.ts'
import { SecretReference } from '../secrets/reference.ts'
import { pathText } from './fault.ts'
import { referencesIn } from './open.ts'
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
      // Of operations, what they have become: an empty rule would say that everything is granted.
      rules: (grant.rules ?? []).flatMap((rule) => rule.alternatives ?? [rule]),
      until: grant.until,
      mode: grant.mode,
    })),
    storedSecrets: storedSecretsIn(settings),
    proofOf: (caller) => kindOfCaller(caller, callers),
    ceilingOf: (caller, scopes) => ceilingOf(caller, scopes, callers),
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

function storedSecretsIn(settings: Settings): ReadonlyMap<string, readonly string[]> {
  const named = referencesIn(settings).flatMap(({ path, reference }) => {
    const name = reference instanceof SecretReference ? reference.settings['store'] : undefined
    return typeof name === 'string' ? [{ name, place: pathText(path) }] : []
  })
  const byName = Map.groupBy(named, ({ name }) => name)
  return new Map([...byName].map(([name, places]) => [name, places.map(({ place }) => place)]))
}
