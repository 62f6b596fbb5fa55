import { randomBytes } from 'node:crypto'
import { dirname } from 'node:path'
import { AdminDoor } from './admin/admin-door.ts'
import { createAdminApp } from './admin/app.ts'
import { buildSink } from './audit/registry.ts'
import type { Sink } from './audit/sink.ts'
import { buildIdentify } from './callers/registry.ts'
import { buildConnections } from './connections.ts'
import type { Clock } from './core/clock.ts'
import { createRecorder } from './gate/record.ts'
import type { Gate, Snapshot } from './gate/snapshot.ts'
import type { Door } from './listeners/door.ts'
import { buildDoor } from './listeners/registry.ts'
import type { Loaded } from './settings/load.ts'
import { type OpenReferences, openReferences } from './settings/open.ts'
import { compilePolicy } from './settings/policy.ts'
import { createLogger, type Logger } from './telemetry/logger.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'
import { createDialer } from './wire/dial.ts'
import { createPeerReader } from './wire/peer.ts'
import { createResolver } from './wire/resolve.ts'
import { systemClock } from './wire/system-clock.ts'

/** A Sallyport that takes in requests. */
export interface House {
  readonly listeners: readonly { readonly kind: string; readonly address: string }[]
  readonly admin: string | undefined
  readonly log: Logger
  /** Lets what is in flight finish, cuts the rest, writes out the audit. Idempotent. */
  close(): Promise<void>
}

/**
 * The composition root: settings, then rooms, then doors. Nothing listens unless everything does.
 * @throws SettingsError, ListenError, Error in words
 */
export async function openHouse(loaded: Loaded, clock: Clock = systemClock): Promise<House> {
  const log = createLogger(loaded.settings.log.level)
  for (const warning of loaded.warnings) log.warn({ file: loaded.file }, warning)
  const references = await openReferences(loaded, (message) =>
    log.error({ error: message }, 'a secret file changed for the worse'),
  )
  const closers: (() => unknown)[] = [() => references.close()]
  try {
    return await furnish({ loaded, log, references, clock, closers })
  } catch (error) {
    await closeInReverse(closers)
    throw error
  }
}

interface Site {
  readonly loaded: Loaded
  readonly log: Logger
  readonly references: OpenReferences
  readonly clock: Clock
  /** What has been opened so far, and how to close it again. */
  readonly closers: (() => unknown)[]
}

async function furnish(site: Site): Promise<House> {
  const { loaded, log, closers } = site
  const { settings } = loaded
  const doors: Door[] = []
  const addresses = new Set<string>()
  const state = { isReady: false }
  const snapshot: { current?: Snapshot } = {}
  const metrics = createMetrics({
    openSockets: () => countSockets(doors),
    expiries: () => expiriesOf(snapshot.current),
  })
  const gate = buildGate(site, {
    metrics,
    addresses,
    current: () => snapshot.current as Snapshot /* set on the next line */,
  })
  snapshot.current = buildSnapshot(site, metrics, gate)
  const peers = Object.values(settings.callers).some(({ kind }) => kind === 'unix-peer')
    ? createPeerReader()
    : undefined
  const directory = dirname(loaded.file)
  for (const one of settings.listeners) doors.push(buildDoor(one, { gate, log, peers, directory }))
  closers.push(() => Promise.all(doors.map((door) => door.close(settings.drainTimeoutMs))))
  const listeners = await openDoors(doors, addresses)
  const admin = await openAdmin(site, { metrics, state, addresses, current: () => snapshot.current })
  state.isReady = true
  let closing: Promise<void> | undefined
  const close = () => {
    state.isReady = false
    closing ??= closeInReverse(closers)
    return closing
  }
  return { listeners, admin, log, close }
}

interface GateParts {
  readonly metrics: Metrics
  /** Our own TCP addresses, which no connection may lead to. */
  readonly addresses: ReadonlySet<string>
  current(): Snapshot
}

function buildGate(
  { loaded, log, references, clock, closers }: Site,
  { metrics, addresses, current }: GateParts,
): Gate {
  const { settings } = loaded
  const sinks: Sink[] = settings.audit.sinks.map((sink) =>
    buildSink(sink, {
      directory: dirname(loaded.file),
      onFault: (reason) => log.error({ reason }, 'the audit cannot be written'),
    }),
  )
  closers.push(() => Promise.all(sinks.map((sink) => sink.close())))
  const resolver = createResolver({
    hosts: settings.dns.hosts,
    ...(settings.dns.servers && { servers: settings.dns.servers }),
  })
  const key = settings.audit.fingerprintKey
  return {
    clock,
    dialer: createDialer({ resolver, isOwnListener: (address, port) => isOwn(addresses, address, port) }),
    pseudonym: `sallyport-${randomBytes(4).toString('hex')}`,
    fingerprintKey: key ? references.secret(key).current().secret.digest() : randomBytes(32),
    snapshot: current,
    record: createRecorder({ sinks, metrics, log }),
  }
}

function buildSnapshot({ loaded, log, references, clock, closers }: Site, metrics: Metrics, gate: Gate): Snapshot {
  const { settings } = loaded
  const connections = buildConnections(settings.connections, { references, clock, metrics, log, dialer: gate.dialer })
  closers.push(() => Promise.all([...connections.values()].map(({ upstream }) => upstream.destroy())))
  const policy = compilePolicy(settings)
  return Object.freeze({ policy, identify: buildIdentify(settings.callers, references), connections })
}

async function openDoors(doors: readonly Door[], addresses: Set<string>): Promise<House['listeners']> {
  const listeners: { kind: string; address: string }[] = []
  for (const door of doors) {
    const address = await door.open()
    addresses.add(address)
    listeners.push({ kind: door.kind, address })
  }
  return listeners
}

interface AdminParts {
  readonly metrics: Metrics
  readonly state: { isReady: boolean }
  readonly addresses: Set<string>
  current(): Snapshot | undefined
}

async function openAdmin(
  { loaded, closers }: Site,
  { metrics, state, addresses, current }: AdminParts,
): Promise<string | undefined> {
  const { admin } = loaded.settings
  if (!admin) return undefined
  const app = createAdminApp({
    isReady: () => state.isReady,
    // It opens last, so whoever can ask is told yes.
    hasStarted: () => true,
    connections: () => new Map([...(current()?.connections ?? [])].map(([name, { supply }]) => [name, supply.state()])),
    metrics: metrics.registry,
  })
  const door = new AdminDoor(app, { listen: admin.listen, directory: dirname(loaded.file) })
  const address = await door.open()
  // Pushed after the doors' own closers, and run before them: a sidecar that drains is not ready.
  closers.unshift(() => door.close())
  addresses.add(address)
  return address
}

function countSockets(doors: readonly Door[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const door of doors) counts.set(door.kind, (counts.get(door.kind) ?? 0) + door.openSockets)
  return counts
}

function expiriesOf(snapshot: Snapshot | undefined): ReadonlyMap<string, number> {
  const rows = [...(snapshot?.connections ?? [])].map(([name, { supply }]) => [name, supply.state().expiresAt] as const)
  return new Map(rows.filter((row): row is readonly [string, number] => row[1] !== undefined))
}

/** Doors are on loopback alone, and 127.0.0.2 is as much this machine as 127.0.0.1: the port decides. */
function isOwn(addresses: ReadonlySet<string>, address: string, port: number): boolean {
  const isLoopback = address === '::1' || address.startsWith('127.')
  return isLoopback && [...addresses].some((own) => own.endsWith(`:${port}`) && !own.startsWith('unix:'))
}

/** Last opened, first closed; one that fails does not keep the others open. */
async function closeInReverse(closers: readonly (() => unknown)[]): Promise<void> {
  for (const close of closers.toReversed()) await Promise.resolve(close()).catch(() => undefined)
}
