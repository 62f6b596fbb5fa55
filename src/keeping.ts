import { dirname } from 'node:path'
import type { Tail } from './admin/tail.ts'
import type { Audit } from './audit/audit.ts'
import { openAudit } from './audit/open.ts'
import type { Clock } from './core/clock.ts'
import type { Loaded } from './settings/load.ts'
import type { OpenReferences } from './settings/open.ts'
import type { Shared } from './settings/shared.ts'
import { openStore } from './store/open.ts'
import type { Store } from './store/store.ts'
import type { Logger } from './telemetry/logger.ts'
import type { Metrics } from './telemetry/metrics.ts'
import type { Dialer } from './wire/dial.ts'

/** What every part of the house is opened with. */
export interface Site {
  readonly loaded: Loaded
  readonly log: Logger
  readonly references: OpenReferences
  /** With readings of the settings to come. */
  readonly shared: Shared
  readonly clock: Clock
  /** What has been opened so far, and how to close it again. */
  readonly closers: (() => unknown)[]
}

/**
 * Opens the store, where the settings have one, and then the secrets in it: what opens the store cannot be in it.
 * @throws Error in words
 */
export async function openStoreOf({ loaded, log, references, clock, closers }: Site): Promise<Store | undefined> {
  const settings = loaded.settings.store
  if (!settings) return undefined
  const onFault = (reason: string) => log.error({ reason }, 'the store is not as it should be')
  const onHealed = () => log.info({}, 'the store is as it should be again')
  const store = await openStore(settings, { references, clock, directory: dirname(loaded.file), onFault, onHealed })
  closers.push(() => store.close())
  await references.openStored(store.secrets)
  return store
}

interface AuditParts {
  readonly metrics: Metrics
  readonly dialer: Dialer
  readonly store: Store | undefined
  readonly tail: Tail
}

/** Opens the audit: every sink, and who follows it. @throws Error in words */
export async function openAuditOf(site: Site, { metrics, dialer, store, tail }: AuditParts): Promise<Audit> {
  const { loaded, log, references, clock, closers } = site
  const audit = await openAudit(loaded.settings.audit, {
    directory: dirname(loaded.file),
    settingsDigest: loaded.digest,
    references,
    dialer,
    rows: store?.audit,
    clock,
    onLine: (line) => tail.push(line),
    onFault: (sink, reason) => log.error({ sink, reason }, 'the audit cannot be written'),
    onDropped: (sink, count) => metrics.auditDropped.inc({ sink }, count),
  })
  closers.push(() => audit.close())
  return audit
}
