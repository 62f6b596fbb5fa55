import { join, resolve } from 'node:path'
import type { CaPlace } from '../ca/directory.ts'
import { type Grant, type Holder, indexGrants } from '../core/grants.ts'
import { HostTable } from '../core/host-table.ts'
import type { Place, Policy } from '../core/policy.ts'
import { type CompiledRule, compileAnyOf, compileRule } from '../core/rule.ts'
import type { ConnectionSettings, Settings } from './schema.ts'

/** What operators have added to the settings while running; declared grants come first and cannot be taken back. */
export interface Additions {
  readonly grants: readonly Grant[]
  readonly disabled: ReadonlySet<string>
}

type RuleSettings = NonNullable<Settings['grants'][number]['rules']>[number]

const NOTHING: Additions = { grants: [], disabled: new Set() }

/** What the settings alone say, compiled once; what is added while running comes on top. */
export interface Declared extends Omit<Policy, 'grants'> {
  readonly grants: readonly Grant[]
}

/** Compiles what the settings say about who may go where into what a decision looks up. */
export function compilePolicy(settings: Settings, additions: Additions = NOTHING): Policy {
  return policyOf(compileDeclared(settings), additions)
}

/** The part of it that is the same whatever is added: to compile 10 000 grants takes a fifth of a second. */
export function compileDeclared(settings: Settings): Declared {
  const hasAuthority = settings.ca !== undefined
  const { hosts, mode } = allowlistOf(settings)
  const places = Object.entries(settings.connections).map(([name, connection]) =>
    placeOf(name, connection, hasAuthority),
  )
  return {
    allowlist: new HostTable(hosts.map((pattern) => [pattern, pattern])),
    allowlistMode: mode,
    places: new HostTable(places.flatMap(({ place, hosts }) => hosts.map((host) => [host, place] as const))),
    placesByName: new Map(places.map(({ place }) => [place.name, place])),
    grants: settings.grants.map(grantOf),
    disabled: new Set(disabledIn(settings)),
  }
}

/** Declared grants come first. */
export function policyOf(declared: Declared, { grants, disabled }: Additions): Policy {
  return {
    ...declared,
    grants: indexGrants([...declared.grants, ...grants]),
    disabled: new Set([...declared.disabled, ...disabled]),
  }
}

/** The allowlist, whichever way it was written. */
export function allowlistOf({ allowlist }: Pick<Settings, 'allowlist'>): {
  readonly hosts: readonly string[]
  readonly mode: 'enforce' | 'report'
} {
  return 'mode' in allowlist ? allowlist : { hosts: allowlist, mode: 'enforce' }
}

function disabledIn({ connections }: Settings): string[] {
  return Object.keys(connections).filter((name) => connections[name]?.disabled)
}

/** The port that a connection is dialled at. */
export function portOf({ port, unsafeAllowPlaintextUpstream }: ConnectionSettings): number {
  return port ?? (unsafeAllowPlaintextUpstream ? 80 : 443)
}

/** What CONNECT opens: as the connection says; else what injects is intercepted, where there is an authority for that. */
export function connectOf({ connect, credential }: ConnectionSettings, hasAuthority: boolean): Place['connect'] {
  return connect ?? (hasAuthority && credential.kind !== 'none' ? 'intercept' : 'unsaid')
}

/** Where the authority is kept; relative paths start at the settings file. */
export function caPlace(
  ca: Exclude<Settings['ca'], 'ephemeral' | undefined>,
  base: string,
): CaPlace & { readonly bundle: string } {
  const directory = resolve(base, ca.directory)
  return { directory, bundle: ca.bundle === undefined ? join(directory, 'bundle.pem') : resolve(base, ca.bundle) }
}

/** The hosts that our own authority answers for. */
export function interceptedHosts({ connections, ca }: Pick<Settings, 'connections' | 'ca'>): string[] {
  return Object.values(connections)
    .filter((connection) => connectOf(connection, ca !== undefined) === 'intercept')
    .flatMap(({ hosts }) => hosts)
}

function placeOf(
  name: string,
  connection: ConnectionSettings,
  hasAuthority: boolean,
): { place: Place; hosts: readonly string[] } {
  const { hosts, basePath = '', unsafeAllowPlaintextUpstream: isPlaintext } = connection
  const home = hosts.find((host) => !host.startsWith('*.'))
  const connect = connectOf(connection, hasAuthority)
  return { place: { name, home, port: portOf(connection), basePath, isPlaintext, connect }, hosts }
}

function grantOf(settings: Settings['grants'][number], index: number): Grant {
  const { connection, rules, until, mode } = settings
  return {
    id: `grants[${index}]`,
    holder: holderOf(settings),
    connection,
    rules: (rules ?? []).map(compileSettings),
    until,
    mode,
  }
}

/** A rule about operations stays one rule, so that the record names it by its place in the settings. */
function compileSettings(rule: RuleSettings): CompiledRule {
  if (!rule.openapi) return compileRule(rule)
  if (!rule.alternatives) throw new Error('the operations of a rule have not been read: load the settings from a file')
  return compileAnyOf(rule.alternatives)
}

/** Who holds a grant of the settings. */
export function holderOf({ caller, group }: Pick<Settings['grants'][number], 'caller' | 'group'>): Holder {
  if (caller !== undefined) return { caller }
  // The schema has seen to it that one of the two is there.
  return { group: group ?? '' }
}
