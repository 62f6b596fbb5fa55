import { dirname } from 'node:path'
import { AdminDoor } from './admin/admin-door.ts'
import { HealthDoor } from './admin/health-door.ts'
import { buildOperators, defaultOperators } from './admin/operators.ts'
import type { AdminPorts } from './admin/ports.ts'
import type { InventoryFacts } from './audit/inventory.ts'
import type { CallerTools } from './callers/method.ts'
import { buildIdentify } from './callers/registry.ts'
import type { LoginDesk } from './credentials/login/desk.ts'
import type { Snapshot } from './gate/snapshot.ts'
import { declaredIn } from './settings/declared.ts'
import type { Loaded } from './settings/load.ts'
import { connectionFacts, secretFacts } from './settings/secret-facts.ts'
import type { Store } from './store/store.ts'
import { describe, type Logger } from './telemetry/logger.ts'
import type { PassedSockets } from './wire/passed-sockets.ts'
import { createPeerReader, type PeerReader } from './wire/peer.ts'

interface Parts
  extends Pick<AdminPorts, 'metrics' | 'isReady' | 'store' | 'change' | 'isAuditFull' | 'tail' | 'history' | 'links'> {
  /** As it was at the start. */
  readonly loaded: Loaded
  /** As it is now. */
  current(): Loaded
  readonly log: Logger
  readonly tools: CallerTools
  readonly passed: PassedSockets
  snapshot(): Snapshot
}

/** Joins the admin door to the rest of the house; undefined where the settings have none. It is not open yet. */
export function buildAdminDoor(parts: Parts): AdminDoor | undefined {
  const { loaded, log, tools, snapshot, store } = parts
  const { settings } = loaded
  const { admin } = settings
  if (!admin) return undefined
  const directory = dirname(loaded.file)
  const declared = onceFor((now: Loaded) => declaredIn(now.settings))
  const peers = readerFor(admin, log)
  const isDefault = Object.keys(admin.operators).length === 0
  const operators = isDefault ? defaultOperators(admin.listen, peers && process.geteuid?.()) : admin.operators
  const ports: AdminPorts = {
    metrics: parts.metrics,
    isReady: parts.isReady,
    store,
    isAuditStored: settings.audit.sinks.some(({ kind }) => kind === 'store'),
    change: parts.change,
    isAuditFull: parts.isAuditFull,
    tail: parts.tail,
    history: parts.history,
    clock: tools.clock,
    operators: buildOperators(operators, (proofs) => buildIdentify(proofs, tools)),
    declared: () => declared(parts.current()),
    supplies: () => new Map(Array.from(snapshot().connections, ([name, { supply }]) => [name, supply.state()])),
    desks: () => desksIn(snapshot()),
    links: parts.links,
    policy: () => snapshot().policy,
    inventoryFacts: () => inventoryFacts(parts.current(), store),
    onFault: (id, error) => log.error({ id, error: describe(error) }, 'the admin API could not answer'),
  }
  const { listen, mode, systemd, url } = admin
  const hostnames = url === undefined ? [] : [new URL(url).hostname]
  return new AdminDoor(ports, { listen, mode, systemd, directory, peers, hostnames, passed: parts.passed })
}

/** The answer for one reading of the settings is made once. */
function onceFor<T>(make: (loaded: Loaded) => T): (loaded: Loaded) => T {
  const known = new WeakMap<Loaded, { readonly value: T }>()
  return (loaded) => {
    const found = known.get(loaded) ?? { value: make(loaded) }
    known.set(loaded, found)
    return found.value
  }
}

/** Joins the door of probes to the rest of the house; undefined where the settings have none. It is not open yet. */
export function buildHealthDoor(
  { file, settings }: Loaded,
  { metrics, isReady, passed }: Pick<AdminPorts, 'metrics' | 'isReady'> & Pick<Parts, 'passed'>,
): HealthDoor | undefined {
  const { health } = settings
  if (!health) return undefined
  const { listen, mode, systemd } = health
  return new HealthDoor({
    listen,
    mode,
    systemd,
    passed,
    directory: dirname(file),
    metrics: health.metrics ? metrics : undefined,
    isReady,
  })
}

function desksIn({ connections }: Snapshot): ReadonlyMap<string, LoginDesk> {
  return new Map([...connections].flatMap(([name, { supply }]) => (supply.desk ? [[name, supply.desk]] : [])))
}

type AdminSettings = NonNullable<Loaded['settings']['admin']>

/**
 * Where an operator is to be known by the kernel, it has to be asked: without it there is no door. Where nobody chose that,
 * the door opens all the same, for probes.
 * @throws Error in words
 */
function readerFor({ listen, operators }: AdminSettings, log: Logger): PeerReader | undefined {
  if (!listen.startsWith('unix:')) return undefined
  const all = Object.values(operators)
  if (all.some(({ proof }) => proof.kind === 'unix-peer')) return createPeerReader()
  if (all.length > 0) return undefined
  try {
    return createPeerReader()
  } catch (error) {
    log.warn({ error: describe(error) }, 'nobody can use the admin API until admin.operators names somebody')
    return undefined
  }
}

/** Since when a secret of the store is what it is, the store says; of the others their files do. */
async function inventoryFacts(loaded: Loaded, store: Store | undefined): Promise<InventoryFacts> {
  const off = new Set(store?.holdings().switches.map(({ connection }) => connection))
  const sealed = await store?.secrets.list()
  const newest = Map.groupBy(sealed ?? [], ({ name }) => name)
    .entries()
    .map(([name, versions]) => ({ name, since: Math.max(...versions.map(({ createdAt }) => createdAt)) }))
  // Where two say something of one name, the later one holds.
  const secrets = [...(await secretFacts(loaded)), ...newest]
  return { connections: connectionFacts(loaded, (name) => off.has(name)), secrets }
}
