import { faultsOfCallers } from '../callers/registry.ts'
import { HostTable } from '../core/host-table.ts'
import { parseListen } from '../wire/listen.ts'
import { faultOfGrantee, scopeFaults, sharedNames } from './caller-checks.ts'
import { closedToTls } from './door-checks.ts'
import type { SettingsFault } from './fault.ts'
import { injectionFaults } from './injection-checks.ts'
import { loginFaults } from './login-checks.ts'
import { neighbourFaults } from './neighbour-checks.ts'
import { operatorFaults } from './operator-checks.ts'
import { forbiddenPins } from './pins.ts'
import { allowlistOf, interceptedHosts } from './policy.ts'
import type { ConnectionSettings, Settings } from './schema.ts'
import { sourceFaults } from './source-checks.ts'
import { unknown } from './unknown.ts'

/** What no single field shows: names that mean nothing, and things that contradict each other. */
export function crossFaults(settings: Settings): SettingsFault[] {
  return [
    ...faultsOfCallers(settings.callers).map(({ caller, message }) => ({ path: ['callers', caller], message })),
    ...scopeFaults(settings),
    ...Object.keys(settings.connections).flatMap((name) => connectionFaults(name, settings)),
    ...neighbourFaults(settings),
    ...sharedHosts(settings),
    ...settings.grants.flatMap((_, index) => grantFaults(index, settings)),
    ...settings.listeners.flatMap((_, index) => listenerFaults(index, settings)),
    ...sharedAddresses(settings),
    ...unusedSockets(settings),
    ...operatorFaults(settings),
    ...storelessSinks(settings),
    ...loginFaults(settings),
    ...sourceFaults(settings),
  ]
}

/** What is allowed, and yet hardly meant. */
export function crossWarnings(settings: Settings, now: number): SettingsFault[] {
  return [
    ...unreachableHosts(settings),
    ...unspilledSinks(settings),
    ...passingFingerprints(settings),
    ...pastGrants(settings, now),
    ...unusedPeers(settings),
    ...unusedCertificates(settings),
    ...sharedNames(settings),
    ...ruledTunnels(settings),
    ...unusedAuthority(settings),
    ...closedToTls(settings),
    ...forbiddenPins(settings),
  ]
}

function connectionFaults(name: string, { connections, ca }: Settings): SettingsFault[] {
  const connection = connections[name]
  if (!connection) return []
  return [
    ...tunnelFaults(name, connection, ca !== undefined),
    ...injectionFaults(name, connection),
    ...unseenCertificate(name, connection),
  ]
}

function unseenCertificate(name: string, connection: ConnectionSettings): SettingsFault[] {
  const { tls, unsafeAllowPlaintextUpstream, connect } = connection
  if (!tls.certificate || !(unsafeAllowPlaintextUpstream || connect === 'tunnel')) return []
  const message = 'leave it out: here no TLS of ours leads to the upstream, and nobody would see it'
  return [{ path: ['connections', name, 'tls', 'certificate'], message }]
}

function tunnelFaults(name: string, connection: ConnectionSettings, hasAuthority: boolean): SettingsFault[] {
  const { connect, credential, basePath, tunnel } = connection
  const at = (key: string, message: string) => [{ path: ['connections', name, key], message }]
  if (connect === 'intercept' && !hasAuthority)
    return at('connect', 'add "ca: ephemeral" or "ca: { directory: DIR }": without an authority nothing is intercepted')
  if (connect !== 'tunnel')
    return tunnel === 'any' ? at('tunnel', 'leave it out, or say "connect: tunnel": nothing else passes unopened') : []
  if (credential.kind !== 'none')
    return at('connect', 'use intercept: nothing can be injected into a tunnel that passes unopened')
  return basePath === undefined
    ? []
    : at('connect', 'use intercept: nobody sees paths in a tunnel that passes unopened')
}

function sharedHosts({ connections }: Settings): SettingsFault[] {
  const owners = new Map<string, string>()
  return Object.entries(connections).flatMap(([name, { hosts }]) =>
    hosts.flatMap((host, index) => {
      const owner = owners.get(host)
      owners.set(host, name)
      if (owner === undefined) return []
      if (owner === name) return [{ path: ['connections', name, 'hosts', index], message: 'name each host once' }]
      const message = `use a host that no other connection names: ${owner} has "${host}" already, and one host means one connection`
      return [{ path: ['connections', name, 'hosts', index], message }]
    }),
  )
}

function grantFaults(index: number, settings: Settings): SettingsFault[] {
  const grant = settings.grants[index]
  const faults: SettingsFault[] = []
  const message = grant?.caller === undefined ? undefined : faultOfGrantee(grant.caller, settings)
  if (message !== undefined) faults.push({ path: ['grants', index, 'caller'], message })
  if (grant && !Object.hasOwn(settings.connections, grant.connection)) {
    const { connection } = grant
    faults.push({
      path: ['grants', index, 'connection'],
      message: unknown('connection', connection, settings.connections),
    })
  }
  if (grant) faults.push(...reportFaults(index, grant, settings))
  return faults
}

/** What nobody granted must not be sent with a credential, not even to find out. */
function reportFaults(
  index: number,
  { mode, rules, connection: name }: Settings['grants'][number],
  { connections }: Settings,
): SettingsFault[] {
  const path = ['grants', index, 'mode']
  const connection = Object.hasOwn(connections, name) ? connections[name] : undefined
  if (mode !== 'report' || !connection) return []
  if (connection.credential.kind !== 'none')
    return [
      {
        path,
        message: `use enforce: ${name} injects a credential, and report mode is never for credentials; "policy suggest" finds the rules from what is recorded`,
      },
    ]
  return rules === undefined ? [{ path, message: 'leave it out, or add rules: without rules nothing is refused' }] : []
}

function listenerFaults(index: number, settings: Settings): SettingsFault[] {
  const listener = settings.listeners[index]
  if (!listener) return []
  return [...doorCallerFaults(index, settings), ...(listener.kind === 'reverse' ? reverseFaults(index, settings) : [])]
}

function doorCallerFaults(index: number, { listeners, callers }: Settings): SettingsFault[] {
  const { kind, caller: name, listen } = listeners[index] ?? {}
  if (name === undefined) return []
  const path = ['listeners', index, 'caller']
  const caller = Object.hasOwn(callers, name) ? callers[name] : undefined
  if (caller?.kind !== 'socket') return [{ path, message: unknownSocket(callers) }]
  if (listen?.startsWith('unix:')) return []
  if (listen !== undefined && typeof parseListen(listen) === 'string')
    return [{ path, message: 'leave it out: whoever can reach this address would be this caller' }]
  // At a transparent door the redirect rules are the proof: it turns away whoever they have not sent.
  if (caller.unsafeAnyLocalProcess || kind === 'transparent') return []
  const message =
    'use a unix: socket, whose permissions say who may connect; or, knowing that every local process becomes this caller, set unsafeAnyLocalProcess: true there'
  return [{ path, message }]
}

function unknownSocket(callers: Settings['callers']): string {
  const names = Object.keys(callers).filter((name) => callers[name]?.kind === 'socket')
  return names.length === 0
    ? 'there is no caller of kind socket yet: add one to "callers"'
    : `use the name of a caller of kind socket: ${names.join(', ')}`
}

function reverseFaults(index: number, { listeners, connections }: Settings): SettingsFault[] {
  const listener = listeners[index]
  if (listener?.kind !== 'reverse') return []
  const named: [PropertyKey[], string][] =
    listener.connection === undefined
      ? (listener.connections ?? []).map((name, at) => [['listeners', index, 'connections', at], name])
      : [[['listeners', index, 'connection'], listener.connection]]
  return named.flatMap(([path, name]) => {
    if (!Object.hasOwn(connections, name)) return [{ path, message: unknown('connection', name, connections) }]
    if (connections[name]?.hosts.some((host) => !host.startsWith('*.'))) return []
    return [{ path, message: `give ${name} an exact host: a reverse door dials the first one, and a wildcard is none` }]
  })
}

function sharedAddresses({ listeners, admin, health }: Settings): SettingsFault[] {
  const doors: [PropertyKey[], string][] = listeners.map(({ listen }, index) => [
    ['listeners', index, 'listen'],
    listen,
  ])
  if (admin) doors.push([['admin', 'listen'], admin.listen])
  if (health) doors.push([['health', 'listen'], health.listen])
  const seen = new Set<string>()
  return doors.flatMap(([path, listen]) => {
    const isTaken = seen.has(listen) && !listen.endsWith(':0')
    seen.add(listen)
    return isTaken ? [{ path, message: 'use an address of its own: another door listens there' }] : []
  })
}

function unusedSockets({ callers, listeners }: Settings): SettingsFault[] {
  const used = new Set(listeners.map(({ caller }) => caller))
  return Object.entries(callers)
    .filter(([name, { kind }]) => kind === 'socket' && !used.has(name))
    .map(([name]) => ({
      path: ['callers', name],
      message: `name it at a door, as in "caller: ${name}" of a listener: the door is its proof`,
    }))
}

function storelessSinks({ audit, store }: Settings): SettingsFault[] {
  if (store) return []
  const message = 'add "store: { kind: sqlite, path: FILE }", or leave this sink out: there is no store to keep rows in'
  return audit.sinks.flatMap(({ kind }, index) =>
    kind === 'store' ? [{ path: ['audit', 'sinks', index], message }] : [],
  )
}

function unspilledSinks({ audit }: Settings): SettingsFault[] {
  const isRemote = audit.sinks.some(({ kind }) => kind !== 'json-lines')
  if (!isRemote || audit.spill) return []
  return [{ path: ['audit', 'spill'], message: 'is not set: what waits for a sink is lost when the process is killed' }]
}

/** What is searched for later has to be called the same then. */
function passingFingerprints({ audit }: Settings): SettingsFault[] {
  const isKept = audit.sinks.some(({ kind }) => kind === 'store')
  if (!isKept || audit.fingerprintKey) return []
  const message =
    'is not set: after a restart the same credential has another fingerprint, and its secret another version'
  return [{ path: ['audit', 'fingerprintKey'], message }]
}

function unreachableHosts(settings: Settings): SettingsFault[] {
  const { connections } = settings
  const { hosts: allowlist, mode } = allowlistOf(settings)
  const message =
    mode === 'report'
      ? 'is not on the allowlist: by report mode its requests go out, without a credential and without this connection'
      : 'is not on the allowlist, so it is refused'
  const table = new HostTable(allowlist.map((pattern) => [pattern, pattern]))
  return Object.entries(connections).flatMap(([name, { hosts }]) =>
    hosts.flatMap((host, index) => {
      return isReachable(host, table, allowlist) ? [] : [{ path: ['connections', name, 'hosts', index], message }]
    }),
  )
}

/** Of a wildcard: any name of it at all. */
function isReachable(host: string, table: HostTable<string>, allowlist: readonly string[]): boolean {
  if (!host.startsWith('*.')) return table.find(host) !== undefined
  const suffix = host.slice(1)
  return table.find(`any${suffix}`) !== undefined || allowlist.some((pattern) => pattern.endsWith(suffix))
}

/** In report mode it goes through, and is recorded. */
function ruledTunnels({ connections, grants }: Settings): SettingsFault[] {
  return grants.flatMap(({ connection, rules, mode }, index) =>
    rules && mode === 'enforce' && connections[connection]?.connect === 'tunnel'
      ? [{ path: ['grants', index, 'rules'], message: 'cannot be judged in an unopened tunnel, so CONNECT is refused' }]
      : [],
  )
}

function unusedAuthority(settings: Settings): SettingsFault[] {
  return settings.ca !== undefined && interceptedHosts(settings).length === 0
    ? [{ path: ['ca'], message: 'is not used: no connection intercepts' }]
    : []
}

function pastGrants({ grants }: Settings, now: number): SettingsFault[] {
  return grants.flatMap(({ until }, index) =>
    until !== undefined && until <= now
      ? [{ path: ['grants', index, 'until'], message: 'has passed, so this grant lets nobody through' }]
      : [],
  )
}

function unusedPeers({ callers, listeners }: Settings): SettingsFault[] {
  if (listeners.some(({ listen }) => listen.startsWith('unix:'))) return []
  return Object.entries(callers)
    .filter(([, { kind }]) => kind === 'unix-peer')
    .map(([name]) => ({ path: ['callers', name], message: 'can never be proved: no listener is a unix: socket' }))
}

/** SVIDs that are tokens come in by any door. */
function unusedCertificates({ callers, listeners }: Settings): SettingsFault[] {
  const tlsOfDoors = listeners.map((one) => ('tls' in one ? one.tls : undefined))
  const hasTls = tlsOfDoors.some((tls) => tls !== undefined)
  const hasAuthorities = tlsOfDoors.some((tls) => tls?.clientCa !== undefined)
  return Object.entries(callers).flatMap(([name, caller]) => {
    const path = ['callers', name]
    if (caller.kind === 'mtls' && !hasAuthorities)
      return [{ path, message: 'can never be proved: no listener has tls with clientCa' }]
    if (caller.kind === 'spiffe' && !hasTls && caller.audience === undefined)
      return [{ path, message: 'can never be proved: no listener has tls, and without audience no JWT-SVID is taken' }]
    return []
  })
}
