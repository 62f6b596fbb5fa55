import { dirname, resolve } from 'node:path'
import type { OtlpSettings } from '../../audit/otlp-settings.ts'
import { buildConnections } from '../../connections.ts'
import type { Clock } from '../../core/clock.ts'
import { needsOf } from '../../credentials/registry.ts'
import type { Connection } from '../../gate/snapshot.ts'
import type { References } from '../../secrets/reference.ts'
import { listeningIn } from '../../settings/listening.ts'
import type { Loaded } from '../../settings/load.ts'
import { openVisible } from '../../settings/open.ts'
import type { ConnectionSettings, Settings } from '../../settings/schema.ts'
import { createLogger } from '../../telemetry/logger.ts'
import { createMetrics } from '../../telemetry/metrics.ts'
import { NOTHING_READ } from '../../telemetry/readings.ts'
import type { TracesSettings } from '../../tracing/settings.ts'
import { createDialer, type Dialer } from '../../wire/dial.ts'
import { type ListenAddress, parseListen } from '../../wire/listen.ts'
import { OwnListeners } from '../../wire/own-listeners.ts'
import { createResolver } from '../../wire/resolve.ts'

/** What the checks look at. */
export interface Site {
  readonly loaded: Loaded
  readonly env: NodeJS.ProcessEnv
  readonly clock: Clock
  /** The sidecar's own way out. */
  readonly dialer: Dialer
  readonly connections: readonly Inspected[]
  /** Lets go of what was opened. */
  close(): Promise<void>
}

/** A connection of the settings. */
export interface Inspected {
  readonly name: string
  readonly settings: ConnectionSettings
  /** As the sidecar would build it; undefined when a secret or file of its own cannot be opened. */
  readonly opened: { readonly connection: Connection; readonly references: References } | undefined
}

/** Opens each connection by itself, so that what is wrong with one hides nothing of the others. */
export async function openSite(loaded: Loaded, env: NodeJS.ProcessEnv, clock: Clock): Promise<Site> {
  const dialer = dialerFor(loaded.settings)
  const closers: (() => unknown)[] = []
  const connections: Inspected[] = []
  for (const [name, settings] of Object.entries(loaded.settings.connections))
    connections.push({ name, settings, opened: await openConnection(name, { loaded, env, clock, dialer, closers }) })
  const close = async () => void (await Promise.all(closers.map((close) => close())))
  return { loaded, env, clock, dialer, connections, close }
}

/** Where a listener is, relative paths resolved; undefined for a port that is chosen at start. */
export function fixedPlace(listen: string, { file }: Loaded): ListenAddress | undefined {
  const where = parseListen(listen, { allowNonLoopback: true })
  if (typeof where === 'string' || (where.kind === 'tcp' && where.port === 0)) return undefined
  return where.kind === 'tcp' ? where : { ...where, path: resolve(dirname(file), where.path) }
}

interface Workshop extends Pick<Site, 'loaded' | 'env' | 'clock' | 'dialer'> {
  readonly closers: (() => unknown)[]
}

async function openConnection(name: string, { closers, ...tools }: Workshop): Promise<Inspected['opened']> {
  const alone = onlyWith(name, tools.loaded)
  const references = await openVisible(alone, tools.env).catch(() => undefined)
  if (!references) return undefined
  if (references.left.length > 0) {
    references.close()
    return undefined
  }
  closers.push(() => references.close())
  const closing = new AbortController()
  closers.push(() => closing.abort())
  const all = { ...tools, ...silence(), references, ending: closing.signal, isDisabled: () => false }
  const connection = buildConnections(alone.settings.connections, all).get(name)
  if (!connection) return undefined
  closers.push(() => connection.upstream.destroy())
  return { connection, references }
}

/** The same settings with nothing left that refers to a secret or a file but this connection, and those that it needs. */
function onlyWith(name: string, loaded: Loaded): Loaded {
  const { settings } = loaded
  const kept = withNeeded(name, settings)
  const connections = Object.fromEntries(Object.entries(settings.connections).filter(([one]) => kept.has(one)))
  return { ...loaded, settings: { ...settings, ...NOTHING, connections } }
}

const NOTHING = {
  listeners: [],
  admin: undefined,
  health: undefined,
  callers: {},
  connections: {},
  traces: undefined,
  audit: { sinks: [], whenFull: 'refuse' },
} satisfies Partial<Settings>

/** The same settings with nothing left that refers to a secret or a file but this collector. */
export function withNothing(loaded: Loaded, collector: TracesSettings | OtlpSettings): Loaded {
  const one = 'kind' in collector ? { audit: { ...NOTHING.audit, sinks: [collector] } } : { traces: collector }
  return { ...loaded, settings: { ...loaded.settings, ...NOTHING, ...one } }
}

function withNeeded(name: string, settings: Settings, found: Set<string> = new Set()): ReadonlySet<string> {
  const connection = settings.connections[name]
  if (!connection || found.has(name)) return found
  found.add(name)
  for (const needed of needsOf(connection.credential).connections ?? []) withNeeded(needed.name, settings, found)
  return found
}

/** What a connection tells the log and the metrics, nobody reads here. */
function silence() {
  return {
    log: createLogger('silent'),
    metrics: createMetrics(NOTHING_READ),
  }
}

function dialerFor(settings: Settings): Dialer {
  const { dns } = settings
  const resolver = createResolver({ hosts: dns.hosts, ...(dns.servers && { servers: dns.servers }) })
  const own = new OwnListeners()
  for (const { listen } of listeningIn(settings)) own.add(listen)
  return createDialer({ resolver, isOwnListener: (address, port) => own.has(address, port) })
}
