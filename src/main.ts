import { randomBytes } from 'node:crypto'
import type { AdminDoor } from './admin/admin-door.ts'
import { LoginLinks } from './admin/login-links.ts'
import { Tail } from './admin/tail.ts'
import { buildAdminDoor, buildHealthDoor } from './administration.ts'
import type { Entry } from './audit/entry.ts'
import { openAuthorityFor, refuseOwnTrust } from './authority.ts'
import type { CertificateAuthority } from './ca/authority.ts'
import { callerLabels } from './caller-label.ts'
import { type ConfiguredTools, configure } from './configured.ts'
import type { Clock } from './core/clock.ts'
import { NO_HOLDINGS } from './core/holdings.ts'
import { buildDoors, openDoors } from './doors.ts'
import type { Gate } from './gate/gate.ts'
import { createRecorder } from './gate/record.ts'
import { UnderWay } from './gate/under-way.ts'
import { historyOf } from './history.ts'
import { houseReadings } from './house-readings.ts'
import { openAuditOf, openStoreOf, type Site } from './keeping.ts'
import type { Door } from './listeners/door.ts'
import { Live } from './live.ts'
import { type Occasion, Reloading } from './reload.ts'
import type { Loaded } from './settings/load.ts'
import { type OpenReferences, openReferences } from './settings/open.ts'
import type { Additions } from './settings/policy.ts'
import type { Settings } from './settings/schema.ts'
import { Shared } from './settings/shared.ts'
import type { Store } from './store/store.ts'
import { createLogger, describe, type Logger } from './telemetry/logger.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'
import { openTracesOf } from './traces.ts'
import type { Tracing } from './tracing/tracing.ts'
import { createDialer, type Dialer } from './wire/dial.ts'
import { OwnListeners } from './wire/own-listeners.ts'
import { PassedSockets } from './wire/passed-sockets.ts'
import { createResolver } from './wire/resolve.ts'
import { systemClock } from './wire/system-clock.ts'

/** A Sallyport that takes in requests. */
export interface House {
  readonly listeners: readonly { readonly kind: string; readonly address: string }[]
  readonly admin: string | undefined
  /** The door of probes. */
  readonly health: string | undefined
  /** The authority of intercepted hosts, where there is one. */
  readonly ca: Pick<CertificateAuthority, 'certificatePem' | 'expiresAt'> | undefined
  /** Of the settings that it was opened with. */
  readonly settingsDigest: string
  readonly log: Logger
  /** What operators have added, whole; what would be refused from now on is cut. */
  revise(additions: Additions): void
  /** Reads the settings again; see `Reloading`. Does not reject. */
  reload(occasion: Occasion): Promise<void>
  /** Lets what is in flight finish, cuts the rest, writes out the audit. Idempotent. */
  close(): Promise<void>
}

/**
 * The composition root: settings, then rooms, then doors. Nothing listens unless everything does. `onEntry` hears every
 * entry, besides the sinks of the settings; `passed` are the sockets that systemd has opened, each of which has to be of use.
 * @throws SettingsError, ListenError, Error in words
 */
export async function openHouse(
  loaded: Loaded,
  clock: Clock = systemClock,
  onEntry: (entry: Entry) => void = () => undefined,
  passed = new PassedSockets(),
): Promise<House> {
  const log = createLogger(loaded.settings.log.level)
  for (const warning of loaded.warnings) log.warn({ file: loaded.file }, warning)
  const shared = new Shared()
  const onFault = (message: string) => log.error({ error: message }, 'a secret file changed for the worse')
  const references = await openReferences(loaded, onFault, shared)
  const closers: (() => unknown)[] = [() => references.close()]
  try {
    return await furnish({ loaded, log, references, shared, clock, closers, onEntry, passed })
  } catch (error) {
    await closeInReverse(closers)
    throw error
  }
}

interface Furnishing extends Site {
  readonly onEntry: (entry: Entry) => void
  readonly passed: PassedSockets
}

async function furnish(site: Furnishing): Promise<House> {
  const { loaded, log, references, shared, clock, closers, passed } = site
  const { settings } = loaded
  const doors: Door[] = []
  const own = new OwnListeners()
  const state = { isReady: false, closedAt: Number.POSITIVE_INFINITY }
  const dialer = buildDialer(settings, own)
  const store = await openStoreOf(site)
  const isReady = () => state.isReady
  // As questions: these come later.
  const latest = { current: () => reloading.current, audit: () => audit, snapshot: () => live.snapshot() }
  const read = { loaded, clock, references, store, doors, ...latest, authority: () => authority, isReady }
  const names = {
    isConnection: (name: string) => name === '' || live.snapshot().connections.has(name),
    isCaller: (name: string) => labels.has(name),
    monotonic: () => clock.monotonic(),
  }
  const metrics = createMetrics(houseReadings(read), names)
  const tail = new Tail()
  const audit = await openAuditOf(site, { metrics, dialer, store, tail })
  const tracing = openTracesOf(site, { metrics, dialer, closingFor: () => clock.monotonic() - state.closedAt })
  const links = new LoginLinks(clock)
  const labels = callerLabels(
    () => reloading.current.loaded.settings.callers,
    () => store?.holdings().callers ?? NO_HOLDINGS.callers,
  )
  const told = { audit, metrics, log, labelOf: labels.of, onEntry: site.onEntry }
  const { record, change, unrecordable } = createRecorder(told)
  const onFault = (reason: string) => log.error({ reason }, 'proofs of callers cannot be judged')
  const proving = { references, clock, dialer, onFault }
  const isDisabled = (connection: string) => snapshot().policy.disabled.has(connection)
  const making = { proving, connecting: connectingWith(site, { metrics, dialer, isDisabled, store, links, tracing }) }
  const configured = configure(loaded, references, making)
  const live = new Live(configured, { store, clock })
  const { snapshot } = live
  const isAuditFull = () => audit.isFull()
  const judgeTrust = (other: Loaded, its: OpenReferences) => authority && refuseOwnTrust(other, authority, its)
  const hearing = { log, metrics, change, isAuditFull, judgeTrust, clock, store }
  const reloading = new Reloading({ first: configured, tools: making, shared, live, ...hearing })
  closers.push(() => reloading.close())
  closers.push(() => live.close())
  const gate = buildGate(site, { dialer, record, unrecordable, snapshot, tracing })
  live.onChange(() => gate.underWay.policyChanged())
  // It may be the key of a caller: what the one before it has begun ends.
  shared.onChange(() => gate.underWay.policyChanged())
  const authority = await openAuthorityFor(loaded, { references, clock, log })
  doors.push(...buildDoors(site, { gate, authority, metrics, passed }))
  closers.push(() => Promise.all(doors.map((door) => door.close(settings.drainTimeoutMs))))
  const listeners = await openDoors(doors, own)
  const current = () => reloading.current.loaded
  const seen = { metrics: metrics.registry, isReady, passed }
  const history = historyOf(current, store)
  const ports = { ...seen, store, change, isAuditFull, tail, history, links, snapshot, current }
  const admin = await openForOperators(site, own, buildAdminDoor({ ...ports, loaded, log, tools: proving }))
  const health = await openForOperators(site, own, buildHealthDoor(loaded, seen))
  passed.expectNone()
  links.open(settings.admin?.url ?? (admin === undefined || admin.startsWith('unix:') ? undefined : `http://${admin}`))
  // Not before anything can be asked: what does not open is no run.
  audit.begin()
  state.isReady = true
  let closing: Promise<void> | undefined
  const close = () => {
    state.isReady = false
    state.closedAt = Math.min(state.closedAt, clock.monotonic())
    closing ??= closeInReverse(closers)
    return closing
  }
  return {
    listeners,
    admin,
    health,
    ca: authority,
    settingsDigest: loaded.digest,
    log,
    revise: live.revise,
    reload: (occasion) => reloading.reload(occasion),
    close,
  }
}

/** `own`: where no connection may lead to; known once the doors are open. */
function buildDialer({ dns }: Settings, own: OwnListeners): Dialer {
  const resolver = createResolver({ hosts: dns.hosts, ...(dns.servers && { servers: dns.servers }) })
  return createDialer({ resolver, isOwnListener: (address, port) => own.has(address, port) })
}

function buildGate(
  { loaded, log, references, clock }: Site,
  parts: Pick<Gate, 'dialer' | 'record' | 'unrecordable' | 'snapshot' | 'tracing'>,
): Gate {
  const key = loaded.settings.audit.fingerprintKey
  return {
    ...parts,
    clock,
    underWay: new UnderWay({
      clock,
      snapshot: parts.snapshot,
      onFault: (error) => log.error({ error: describe(error) }, 'something under way could not be judged or cut'),
    }),
    pseudonym: `sallyport-${randomBytes(4).toString('hex')}`,
    fingerprintKey: key ? references.secret(key).current().secret.digest() : randomBytes(32),
  }
}

function connectingWith(
  { log, clock, closers }: Site,
  { store, links, ...own }: Outfit,
): ConfiguredTools['connecting'] {
  const closing = new AbortController()
  closers.push(() => closing.abort())
  const loginUrl = (connection: string, caller: string | undefined) => links.forCaller(connection, caller)
  return { clock, log, ...own, ending: closing.signal, logins: store?.logins, loginUrl }
}

interface Outfit {
  isDisabled(connection: string): boolean
  readonly metrics: Metrics
  readonly dialer: Dialer
  readonly store: Store | undefined
  readonly tracing: Tracing | undefined
  readonly links: LoginLinks
}

/** First in the list, so the last to close: while the doors drain it says that this sidecar is not ready. */
async function openForOperators(
  { closers }: Site,
  own: OwnListeners,
  door: Pick<AdminDoor, 'open' | 'close'> | undefined,
): Promise<string | undefined> {
  const address = await door?.open()
  if (door) closers.unshift(() => door.close())
  if (address !== undefined) own.add(address)
  return address
}

/** Last opened, first closed; one that fails does not keep the others open. */
async function closeInReverse(closers: readonly (() => unknown)[]): Promise<void> {
  for (const close of closers.toReversed()) await Promise.resolve(close()).catch(() => undefined)
}
