import { stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { AdminDoor } from './admin/admin-door.ts'
import { createAdminApp } from './admin/app.ts'
import type { LongLivedSecret } from './admin/inventory.ts'
import { buildOperators, defaultOperators } from './admin/operators.ts'
import type { AdminPorts } from './admin/ports.ts'
import type { CallerTools } from './callers/method.ts'
import { buildIdentify } from './callers/registry.ts'
import type { Snapshot } from './gate/snapshot.ts'
import { SecretReference } from './secrets/reference.ts'
import { declaredIn } from './settings/declared.ts'
import { pathText } from './settings/fault.ts'
import type { Loaded } from './settings/load.ts'
import { referencesIn } from './settings/open.ts'
import type { Store } from './store/store.ts'
import { describe, type Logger } from './telemetry/logger.ts'
import { createPeerReader, type PeerReader } from './wire/peer.ts'

interface Parts extends Pick<AdminPorts, 'metrics' | 'isReady' | 'store' | 'change' | 'tail' | 'history'> {
  readonly loaded: Loaded
  readonly log: Logger
  readonly tools: CallerTools
  snapshot(): Snapshot
}

/** Joins the admin door to the rest of the house; undefined where the settings have none. It is not open yet. */
export function buildAdminDoor(parts: Parts): AdminDoor | undefined {
  const { loaded, log, tools, snapshot, store } = parts
  const { settings } = loaded
  const { admin } = settings
  if (!admin) return undefined
  const directory = dirname(loaded.file)
  const declared = declaredIn(settings)
  const peers = readerFor(admin, log)
  const isDefault = Object.keys(admin.operators).length === 0
  const operators = isDefault ? defaultOperators(admin.listen, peers && process.geteuid?.()) : admin.operators
  const app = createAdminApp({
    metrics: parts.metrics,
    isReady: parts.isReady,
    store,
    change: parts.change,
    tail: parts.tail,
    history: parts.history,
    clock: tools.clock,
    operators: buildOperators(operators, (proofs) => buildIdentify(proofs, tools)),
    declared: () => declared,
    supplies: () => new Map(Array.from(snapshot().connections, ([name, { supply }]) => [name, supply.state()])),
    policy: () => snapshot().policy,
    longLivedSecrets: () => longLivedSecrets(loaded, store),
    onFault: (id, error) => log.error({ id, error: describe(error) }, 'the admin API could not answer'),
  })
  return new AdminDoor(app, { listen: admin.listen, mode: admin.mode, directory, peers })
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

/** What connections inject, or spend at an issuer, and nobody renews by itself. */
async function longLivedSecrets(
  { settings, file }: Loaded,
  store: Store | undefined,
): Promise<readonly LongLivedSecret[]> {
  const versions = (await store?.secrets.list()) ?? []
  const changedAt = async (kept: string, where: unknown): Promise<number | undefined> => {
    if (kept === 'file') return (await stat(resolve(dirname(file), String(where)))).mtimeMs
    const own = versions.filter(({ name }) => kept === 'store' && name === where)
    return own.length === 0 ? undefined : Math.max(...own.map(({ createdAt }) => createdAt))
  }
  const found = Object.entries(settings.connections).flatMap(([connection, { credential }]) =>
    referencesIn(credential, ['credential']).flatMap(({ path, reference }) => {
      if (!(reference instanceof SecretReference)) return []
      const [kept = '', where] = Object.entries(reference.settings)[0] ?? []
      return { connection, setting: pathText(path), kept, where, isInjected: credential.kind === 'static' }
    }),
  )
  return Promise.all(
    found.map(async ({ where, ...rest }) => ({
      ...rest,
      since: await changedAt(rest.kept, where).catch(() => undefined),
    })),
  )
}
