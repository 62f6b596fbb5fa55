import type { SecureContext } from 'node:tls'
import type { Clock } from './core/clock.ts'
import type { Supply } from './credentials/credential.ts'
import type { Logins } from './credentials/login/logins.ts'
import type { RevocationEvent } from './credentials/login/revoker.ts'
import type { MintEvent } from './credentials/mint.ts'
import { buildSupply } from './credentials/registry.ts'
import type { Neighbour } from './credentials/tools.ts'
import { toBlockList } from './forms/network.ts'
import type { Connection } from './gate/snapshot.ts'
import { buildInjection } from './injections/registry.ts'
import { lent } from './lent.ts'
import { neighbourOf } from './neighbour.ts'
import { Upstream } from './relay/upstream.ts'
import type { References } from './secrets/reference.ts'
import { portOf } from './settings/policy.ts'
import { type ConnectionSettings, DEFAULT_LIMITS, type Settings } from './settings/schema.ts'
import { describe, type Logger } from './telemetry/logger.ts'
import type { Metrics } from './telemetry/metrics.ts'
import type { Tracing } from './tracing/tracing.ts'
import { LiveIdentity } from './wire/client-identity.ts'
import type { Dialer } from './wire/dial.ts'
import { trustShowing } from './wire/trust.ts'

/** What connections are built with. */
export interface ConnectionTools {
  readonly references: References
  readonly clock: Clock
  readonly metrics: Metrics
  readonly log: Logger
  /** Absent where there are no traces. */
  readonly tracing?: Tracing | undefined
  readonly dialer: Dialer
  /** Aborts when everything closes. */
  readonly ending: AbortSignal
  /** Absent where there is no store, or it is not ours to spend what is in it. */
  readonly logins?: Logins | undefined
  loginUrl?(connection: string, caller: string | undefined): string
  /** Whether an operator has switched it off. */
  isDisabled(connection: string): boolean
}

/** What goes on as it is from one reading of the settings to the next. */
export interface Kept {
  readonly connections: ReadonlyMap<string, Connection>
  /** Of connections that are others, and have the very same credential: no token is minted anew, and nobody has to log in. */
  readonly supplies: ReadonlyMap<string, Supply>
}

const NOTHING_KEPT: Kept = { connections: new Map(), supplies: new Map() }

/** Builds every connection of the settings but what is kept. Does no I/O: the first ask dials, and mints. */
export function buildConnections(
  settings: Settings['connections'],
  tools: ConnectionTools,
  kept = NOTHING_KEPT,
): ReadonlyMap<string, Connection> {
  const all = new Map<string, Connection>()
  function neighbour(name: string): Neighbour | undefined {
    const [its, connection] = [Object.hasOwn(settings, name) ? settings[name] : undefined, all.get(name)]
    return its && connection && neighbourOf(its, connection, tools)
  }
  const others = { ...tools, neighbour, supply: (name: string) => lentBy(name, all, tools) }
  for (const [name, one] of Object.entries(settings)) {
    const build = () => {
      const supply = kept.supplies.get(name) ?? supplyOf(name, one.credential, others)
      return buildConnection(name, one, { ...tools, supply })
    }
    all.set(name, kept.connections.get(name) ?? build())
  }
  return all
}

/** `supply`, `neighbour`: of the others, once they are built. */
interface NeighbourlyTools extends ConnectionTools {
  supply(name: string): Connection['supply']
  neighbour(name: string): Neighbour | undefined
}

function supplyOf(name: string, credential: ConnectionSettings['credential'], tools: NeighbourlyTools): Supply {
  const { references, clock, dialer, ending, logins } = tools
  return buildSupply(credential, {
    secret: (reference) => references.secret(reference),
    file: (reference) => references.file(reference),
    clock,
    dialer,
    ending,
    name,
    logins,
    loginUrl: (connection, caller) => tools.loginUrl?.(connection, caller) ?? 'the address that the operator names',
    random: Math.random,
    onMint: (event) => tellOfMint({ name, source: credential.kind }, event, tools),
    onRevocation: (event) => tellOfRevocation(event, tools),
    connection: (other) => tools.supply(other),
    neighbour: (other) => tools.neighbour(other),
  })
}

function buildConnection(
  name: string,
  settings: ConnectionSettings,
  tools: Pick<ConnectionTools, 'references' | 'dialer'> & { readonly supply: Supply },
): Connection {
  const { credential, inject, scrubResponses, websocket, tunnel, propagateTrace } = settings
  const injection = credential.kind === 'none' ? undefined : buildInjection(inject ?? { kind: 'bearer' })
  return {
    name,
    source: credential.kind,
    supply: tools.supply,
    injection,
    upstream: buildUpstream(settings, tools),
    scrubResponses,
    websocket,
    tunnel,
    propagateTrace,
  }
}

function lentBy(
  name: string,
  all: ReadonlyMap<string, Connection>,
  { isDisabled }: ConnectionTools,
): Connection['supply'] {
  const connection = all.get(name)
  if (!connection) throw new Error(`no connection ${name}: the checks of the settings let it through`)
  return lent(connection, isDisabled)
}

/** By which report mode lets out what no connection names: no secret is known to it, and no private address allowed. */
export function buildUnlisted(tools: Pick<ConnectionTools, 'references' | 'clock' | 'dialer'>): Connection {
  const { references, clock, dialer } = tools
  const nothing = { kind: 'none' } as const
  const supply = buildSupply(nothing, {
    secret: (reference) => references.secret(reference),
    file: (reference) => references.file(reference),
    clock,
    dialer,
    random: Math.random,
    onMint: () => undefined,
  })
  const upstream = new Upstream({
    dialer,
    port: 80,
    tls: 'plaintext',
    allowPrivate: toBlockList([]),
    http2: false,
    limits: DEFAULT_LIMITS,
  })
  const open = { scrubResponses: false, websocket: true, tunnel: 'tls' } as const
  return { name: '', source: nothing.kind, supply, injection: undefined, upstream, ...open }
}

function buildUpstream(
  settings: ConnectionSettings,
  { references, dialer }: Pick<ConnectionTools, 'references' | 'dialer'>,
): Upstream {
  const { tls, allowPrivate, http2, limits, unsafeAllowPlaintextUpstream } = settings
  return new Upstream({
    dialer,
    port: portOf(settings),
    tls: unsafeAllowPlaintextUpstream ? 'plaintext' : trustFor(tls, references),
    allowPrivate: toBlockList(allowPrivate),
    http2,
    limits,
  })
}

/** @throws Error in words when certificate and key do not belong together */
function trustFor({ ca, certificate, key }: ConnectionSettings['tls'], references: References): () => SecureContext {
  const files = certificate && key && { certificate: () => references.file(certificate), key: references.secret(key) }
  const identity = files && new LiveIdentity(files)
  const trust = trustShowing(ca && references.file(ca), () => identity?.current())
  trust()
  return trust
}

function tellOfRevocation({ place, revocation, warnings }: RevocationEvent, { log }: ConnectionTools): void {
  const { connection } = place
  const { outcome, reason } = revocation
  for (const warning of warnings) log.warn({ connection }, warning)
  if (outcome === 'failed')
    log.warn(
      { connection, ...(reason !== undefined && { reason }) },
      'a login was forgotten here, and is not revoked at its authorization server',
    )
}

type Minting = { readonly name: string; readonly source: string }

function tellOfMint(
  { name: connection, source }: Minting,
  event: MintEvent,
  { metrics, log, clock, tracing }: ConnectionTools,
): void {
  metrics.mints.inc({ connection, outcome: event.outcome })
  metrics.mintDurations.observe({ connection }, event.durationMs / 1000)
  const { durationMs } = event
  const about = { 'sallyport.connection': connection, 'sallyport.source': source }
  if (event.outcome === 'ok') {
    metrics.lastMints.set({ connection }, clock.now() / 1000)
    tracing?.minted({ durationMs, attributes: about, secret: event.secret })
    for (const warning of event.warnings) log.warn({ connection }, warning)
  } else {
    const { code, reason, cause } = event.problem
    tracing?.minted({ durationMs, attributes: { ...about, 'error.type': code, 'sallyport.problem': code } })
    log.warn(
      { connection, code, reason, ...(cause !== undefined && { error: describe(cause) }) },
      'a credential could not be minted',
    )
  }
}
