import { randomBytes } from 'node:crypto'
import { dirname } from 'node:path'
import { AdminDoor } from './admin/admin-door.ts'
import { createAdminApp } from './admin/app.ts'
import { buildSink } from './audit/registry.ts'
import type { Sink } from './audit/sink.ts'
import { openAuthorityFor } from './authority.ts'
import type { CertificateAuthority } from './ca/authority.ts'
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
import type { Settings } from './settings/schema.ts'
import { createLogger, type Logger } from './telemetry/logger.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'
import { createDialer, type Dialer } from './wire/dial.ts'
import { isOwnListener } from './wire/own-listener.ts'
import { createPeerReader } from './wire/peer.ts'
import { createResolver } from './wire/resolve.ts'
import { systemClock } from './wire/system-clock.ts'

/** A Sallyport that takes in requests. */
export interface House {
  readonly listeners: readonly { readonly kind: string; readonly address: string }[]
  readonly admin: string | undefined
  /** The authority of intercepted hosts, where there is one. */
  readonly ca: Pick<CertificateAuthority, 'certificatePem' | 'expiresAt'> | undefined
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
  const { loaded, log, references, clock, closers } = site
  const { settings } = loaded
  const doors: Door[] = []
  const addresses = new Set<string>()
  const state = { isReady: false }
  const dialer = buildDialer(settings, addresses)
  const metrics = createMetrics({ openSockets: () => countSockets(doors), expiries: () => expiriesOf(snapshot) })
  const record = createRecorder({ sinks: buildSinks(site), metrics, log })
  const snapshot = buildSnapshot(site, metrics, dialer)
  const gate = buildGate(site, { dialer, record, snapshot: () => snapshot })
  const authority = await openAuthorityFor(loaded, { references, clock, log })
  const isPeerKnown = Object.values(settings.callers).some(({ kind }) => kind === 'unix-peer')
  const directory = dirname(loaded.file)
  const asksForCertificates = Object.values(settings.callers).some(({ kind }) => kind === 'spiffe')
  const peers = isPeerKnown ? createPeerReader() : undefined
  const tools = { gate, log, authority, peers, references, asksForCertificates, directory }
  for (const one of settings.listeners) doors.push(buildDoor(one, tools))
  closers.push(() => Promise.all(doors.map((door) => door.close(settings.drainTimeoutMs))))
  const listeners = await openDoors(doors, addresses)
  const admin = await openAdmin(site, { metrics, state, addresses, snapshot })
  state.isReady = true
  let closing: Promise<void> | undefined
  const close = () => {
    state.isReady = false
    closing ??= closeInReverse(closers)
    return closing
  }
  return { listeners, admin, ca: authority, log, close }
}

/** `addresses`: our own TCP ones, which no connection may lead to; they are known once the doors are open. */
function buildDialer({ dns }: Settings, addresses: ReadonlySet<string>): Dialer {
  const resolver = createResolver({ hosts: dns.hosts, ...(dns.servers && { servers: dns.servers }) })
  return createDialer({ resolver, isOwnListener: (address, port) => isOwnListener(addresses, address, port) })
}

function buildSinks({ loaded, log, closers }: Site): readonly Sink[] {
  const onFault = (reason: string) => log.error({ reason }, 'the audit cannot be written')
  const tools = { directory: dirname(loaded.file), onFault }
  const sinks = loaded.settings.audit.sinks.map((sink) => buildSink(sink, tools))
  closers.push(() => Promise.all(sinks.map((sink) => sink.close())))
  return sinks
}

function buildGate({ loaded, references, clock }: Site, parts: Pick<Gate, 'dialer' | 'record' | 'snapshot'>): Gate {
  const key = loaded.settings.audit.fingerprintKey
  return {
    ...parts,
    clock,
    pseudonym: `sallyport-${randomBytes(4).toString('hex')}`,
    fingerprintKey: key ? references.secret(key).current().secret.digest() : randomBytes(32),
  }
}

function buildSnapshot({ loaded, log, references, clock, closers }: Site, metrics: Metrics, dialer: Dialer): Snapshot {
  const { settings } = loaded
  const connections = buildConnections(settings.connections, { references, clock, metrics, log, dialer })
  closers.push(() => Promise.all([...connections.values()].map(({ upstream }) => upstream.destroy())))
  const policy = compilePolicy(settings)
  const onFault = (reason: string) => log.error({ reason }, 'proofs of callers cannot be judged')
  const identify = buildIdentify(settings.callers, { references, clock, dialer, onFault })
  return Object.freeze({ policy, identify, connections })
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
  readonly snapshot: Snapshot
}

async function openAdmin(
  { loaded, closers }: Site,
  { metrics, state, addresses, snapshot }: AdminParts,
): Promise<string | undefined> {
  const { admin } = loaded.settings
  if (!admin) return undefined
  const app = createAdminApp({
    isReady: () => state.isReady,
    connections: () => new Map([...snapshot.connections].map(([name, { supply }]) => [name, supply.state()])),
    metrics: metrics.registry,
  })
  const door = new AdminDoor(app, { listen: admin.listen, directory: dirname(loaded.file) })
  const address = await door.open()
  // First in the list, so the last to close: while the doors drain it says that this sidecar is not ready.
  closers.unshift(() => door.close())
  addresses.add(address)
  return address
}

function countSockets(doors: readonly Door[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const door of doors) counts.set(door.kind, (counts.get(door.kind) ?? 0) + door.openSockets)
  return counts
}

function expiriesOf({ connections }: Snapshot): ReadonlyMap<string, number> {
  const rows = [...connections].map(([name, { supply }]) => [name, supply.state().expiresAt] as const)
  return new Map(rows.filter((row): row is readonly [string, number] => row[1] !== undefined))
}

/** Last opened, first closed; one that fails does not keep the others open. */
async function closeInReverse(closers: readonly (() => unknown)[]): Promise<void> {
  for (const close of closers.toReversed()) await Promise.resolve(close()).catch(() => undefined)
}
