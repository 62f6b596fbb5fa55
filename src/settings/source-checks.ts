import { kindOfCaller, readsTokens } from '../callers/registry.ts'
import { needsOf } from '../credentials/registry.ts'
import { faultOfGrantee, issuersOf } from './caller-checks.ts'
import type { SettingsFault } from './fault.ts'
import type { Settings } from './schema.ts'
import { unknown } from './unknown.ts'

/** What sources need of the rest of the settings, and do not find there. */
export function sourceFaults(settings: Settings): SettingsFault[] {
  return [
    ...Object.keys(settings.connections).flatMap((name) => [
      ...borrowingFaults(name, settings),
      ...trustFaults(name, settings),
      ...tokenFaults(name, settings),
      ...claimFaults(name, settings),
    ]),
    ...tokenlessGrants(settings),
  ]
}

function needsOfConnection(name: string, { connections }: Settings) {
  const connection = Object.hasOwn(connections, name) ? connections[name] : undefined
  return connection ? needsOf(connection.credential) : {}
}

function at(name: string, path: readonly PropertyKey[] = []): PropertyKey[] {
  return ['connections', name, 'credential', ...path]
}

/** Credentials of other connections: each has to be there, and none may need itself. */
function borrowingFaults(name: string, settings: Settings): SettingsFault[] {
  const { connections } = settings
  return (needsOfConnection(name, settings).connections ?? []).flatMap(({ path, name: other, isUpstream }) => {
    const fault = (message: string) => [{ path: at(name, path), message }]
    if (!Object.hasOwn(connections, other)) return fault(unknown('connection', other, connections))
    if (!isUpstream && connections[other]?.credential.kind === 'none')
      return fault(`use another connection: ${other} has no credential`)
    if (connections[other]?.disabled) return fault(`use another connection, or enable ${other}: it refuses everybody`)
    const way = wayBack(other, name, settings)
    return way ? fault(`use another connection: this one would need itself, by ${way.join(', which needs ')}`) : []
  })
}

/** The connections from one to another, each needing the next; undefined where there is no such way. */
function wayBack(from: string, to: string, settings: Settings, seen: readonly string[] = []): string[] | undefined {
  if (from === to) return [to]
  if (seen.includes(from)) return undefined
  for (const { name } of needsOfConnection(from, settings).connections ?? []) {
    const rest = wayBack(name, to, settings, [...seen, from])
    if (rest) return [from, ...rest]
  }
  return undefined
}

function trustFaults(name: string, settings: Settings): SettingsFault[] {
  return (needsOfConnection(name, settings).callers ?? []).flatMap(({ path, name: caller }) => {
    const message = faultOfGrantee(caller, settings)
    return message === undefined ? [] : [{ path: at(name, path), message }]
  })
}

/** Whether the token of whoever asks is needed, by it or by a connection that it needs. */
function needsToken(name: string, settings: Settings, seen: readonly string[] = []): boolean {
  if (seen.includes(name)) return false
  const { callersToken, connections = [] } = needsOfConnection(name, settings)
  return callersToken === true || connections.some((other) => needsToken(other.name, settings, [...seen, name]))
}

function tokenFaults(name: string, settings: Settings): SettingsFault[] {
  if (!needsToken(name, settings)) return []
  if (Object.values(settings.callers).some(({ kind }) => readsTokens(kind))) return []
  const message =
    'add a caller of kind jwt, kubernetes or spiffe: it acts for the token of whoever asks, and nobody shows one'
  return [{ path: at(name), message }]
}

/** Of two issuers, the one that is trusted with less could make somebody what only the other one is asked about. */
function claimFaults(name: string, settings: Settings): SettingsFault[] {
  const { claim } = needsOfConnection(name, settings)
  if (!claim || claim.issuer !== undefined || issuersOf(settings.callers).size < 2) return []
  const message = 'add "issuer": callers show tokens of several, and the same claim of another one is not the same'
  return [{ path: at(name, claim.path), message }]
}

/** By a group, or by a name that a proof makes, it may come to a caller with a token. */
function tokenlessGrants(settings: Settings): SettingsFault[] {
  return settings.grants.flatMap(({ caller, connection }, index) => {
    const kind = caller === undefined ? undefined : kindOfCaller(caller, settings.callers)
    if (kind === undefined || readsTokens(kind) || !needsToken(connection, settings)) return []
    const message = `use a caller that shows a token: ${connection} acts for the token of whoever asks, and the proof of ${caller} (${kind}) is none`
    return [{ path: ['grants', index, 'caller'], message }]
  })
}
