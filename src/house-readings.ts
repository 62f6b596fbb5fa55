import about from '../package.json' with { type: 'json' }
import { summaryOf } from './admin/login-view.ts'
import type { Audit } from './audit/audit.ts'
import type { CertificateAuthority } from './ca/authority.ts'
import { lifeOf, ShownCertificates } from './certificates.ts'
import type { Configured } from './configured.ts'
import type { Clock } from './core/clock.ts'
import { readTokens } from './credential-readings.ts'
import type { Connection, Snapshot } from './gate/snapshot.ts'
import type { Door } from './listeners/door.ts'
import type { Loaded } from './settings/load.ts'
import type { OpenReferences } from './settings/open.ts'
import { secretFacts } from './settings/secret-facts.ts'
import type { Store } from './store/store.ts'
import type { HouseReadings } from './telemetry/metrics.ts'
import type { Samples } from './telemetry/readings.ts'

/** What the metrics of a house are read from; what is a function may not be there before the house is. */
export interface ReadingParts {
  /** Of the start: by these the doors go, the store and the audit. */
  readonly loaded: Loaded
  readonly references: OpenReferences
  readonly clock: Clock
  readonly store: Store | undefined
  readonly doors: readonly Door[]
  /** The settings that connections go by. */
  current(): Pick<Configured, 'loaded' | 'references'>
  audit(): Audit
  snapshot(): Snapshot
  authority(): CertificateAuthority | undefined
  isReady(): boolean
}

/** Where each metric that nobody counts is read. */
export function houseReadings(parts: ReadingParts): HouseReadings {
  const { loaded, clock, references, store, doors } = parts
  const { settings } = loaded
  const shown = new ShownCertificates()
  const certificates = () => {
    const now = parts.current()
    const { listeners } = settings
    const doors = shown.of({ listeners }, references)
    return [
      ...doors,
      ...shown.of({ connections: now.loaded.settings.connections }, now.references),
      ...ownAuthority(parts.authority()),
    ]
  }
  const all = () => [...parts.snapshot().connections.values()]
  const perConnection = (read: (connection: Connection) => number) =>
    all().map((connection) => [{ connection: connection.name }, read(connection)] as const)
  const perSink = (read: (sink: ReturnType<Audit['sinks']>[number]) => number) =>
    parts
      .audit()
      .sinks()
      .map((sink) => [{ sink: sink.name }, read(sink)] as const)
  const ofStore = (read: (store: Store) => number) => (store ? single(read(store)) : [])
  return {
    sallyport_build_info: () => [[{ version: about.version, node: process.versions.node }, 1]],
    sallyport_settings_info: () => [[{ digest: parts.current().loaded.digest }, 1]],
    sallyport_settings_loaded_timestamp_seconds: () => single(parts.current().loaded.readAt / 1000),
    sallyport_ready: () => single(Number(parts.isReady())),
    sallyport_open_sockets: () => countSockets(doors),
    sallyport_requests_under_way: () =>
      all().flatMap(({ name: connection, upstream: { load } }) => [
        [{ connection, kind: 'request' }, load.requests] as const,
        [{ connection, kind: 'tunnel' }, load.tunnels] as const,
      ]),
    sallyport_busiest_caller_ratio: () => perConnection(({ upstream }) => upstream.load.highestShare),
    sallyport_upstream_sockets: () => perConnection(({ upstream }) => upstream.load.sockets),
    sallyport_upstream_waiting_requests: () => perConnection(({ upstream }) => upstream.load.waiting),
    sallyport_connection_disabled: () =>
      perConnection(({ name }) => Number(parts.snapshot().policy.disabled.has(name))),
    ...readTokens(all, clock),
    sallyport_login_needed: () =>
      all().flatMap(({ name: connection, supply: { desk } }) => {
        if (!desk) return []
        const isUsedUp = desk.identity === 'per-caller' && desk.list().some(({ state }) => state === 'needs-login')
        const isShort = desk.identity === 'shared' && summaryOf(desk).state === 'needs-login'
        return [[{ connection }, Number(isUsedUp || isShort)] as const]
      }),
    sallyport_login_expiry_timestamp_seconds: () =>
      all().flatMap(({ name: connection, supply: { desk } }) => {
        const alive = desk?.list().filter(({ state }) => state !== 'needs-login') ?? []
        const ends = alive.flatMap(({ login }) => login.expiresAt ?? [])
        return ends.length === 0 ? [] : [[{ connection }, Math.min(...ends) / 1000] as const]
      }),
    sallyport_audit_waiting_bytes: () => perSink(({ waitingBytes }) => waitingBytes),
    sallyport_audit_waiting_limit_bytes: () => perSink(({ limitBytes }) => limitBytes),
    sallyport_audit_full: () => perSink(({ isFull }) => Number(isFull)),
    sallyport_store_unconfirmed_seconds: () => ofStore((one) => (clock.monotonic() - one.confirmedAt()) / 1000),
    sallyport_store_stale_limit_seconds: () => ofStore(() => (settings.store?.staleMs ?? 0) / 1000),
    sallyport_store_revision: () => ofStore((one) => one.holdings().revision),
    sallyport_certificate_expiry_timestamp_seconds: () =>
      certificates().map(({ use, place, expiresAt }) => [{ use, place }, expiresAt / 1000]),
    sallyport_certificate_valid_from_timestamp_seconds: () =>
      certificates().map(({ use, place, validFrom }) => [{ use, place }, validFrom / 1000]),
    sallyport_secret_changed_timestamp_seconds: async () => {
      const facts = new Map((await secretFacts(parts.current().loaded)).map(({ name, since }) => [name, since]))
      return [...facts].flatMap(([secret, since]) => (since === undefined ? [] : [[{ secret }, since / 1000] as const]))
    },
    sallyport_file_reload_failing: () => {
      // What connections no longer name is still watched, for the doors.
      const files = new Map([...references.files(), ...parts.current().references.files()])
      return [...files].map(([file, failing]) => [{ file }, Number(failing)])
    },
    sallyport_memory_limit_bytes: () => memoryLimit(),
    sallyport_event_loop_busy_seconds_total: () => single(performance.eventLoopUtilization().active / 1000),
  }
}

function ownAuthority(ca: CertificateAuthority | undefined) {
  const life = ca && lifeOf(ca.certificatePem)
  return life ? [{ use: 'authority', place: 'ca', ...life }] : []
}

/** One value without a label, or none. */
type Single = Samples<never>

function single(value: number): Single {
  return [[{}, value]]
}

function countSockets(doors: readonly Door[]) {
  const counts = new Map<string, number>()
  for (const door of doors) counts.set(door.kind, (counts.get(door.kind) ?? 0) + door.openSockets)
  return [...counts].map(([door, count]) => [{ door }, count] as const)
}

/** Without a limit the kernel says a number that no machine has, and Node 0 where there is no control group. */
function memoryLimit(): Single {
  const limit = process.constrainedMemory()
  return limit > 0 && limit < 2 ** 50 ? single(limit) : []
}
