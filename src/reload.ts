import { randomUUIDv7 } from 'node:crypto'
import type { Change } from './audit/change.ts'
import { type Configured, type ConfiguredTools, configure } from './configured.ts'
import type { Clock } from './core/clock.ts'
import type { Live } from './live.ts'
import type { Upstream } from './relay/upstream.ts'
import { SettingsError } from './settings/fault.ts'
import { type Loaded, loadSettingsAgain } from './settings/load.ts'
import { type OpenReferences, openReferences } from './settings/open.ts'
import { restartFaults } from './settings/restart-checks.ts'
import type { Settings } from './settings/schema.ts'
import type { Shared } from './settings/shared.ts'
import type { Store } from './store/store.ts'
import type { Logger } from './telemetry/logger.ts'
import type { Metrics } from './telemetry/metrics.ts'

/** Why the settings are read again: somebody has asked for it, or their file is another. */
export type Occasion = 'signal' | 'file'

interface Parts {
  readonly first: Configured
  readonly tools: ConfiguredTools
  readonly shared: Shared
  readonly store: Store | undefined
  readonly live: Pick<Live, 'reconfigure'>
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Pick<Metrics, 'reloads' | 'settingsStale'>
  /** Told of each reload, and of each that was refused. */
  change(change: Change): void
  isAuditFull(): boolean
  /** @throws Error in words, where these settings trust what they must not */
  judgeTrust(loaded: Loaded, references: OpenReferences): void
}

/**
 * Reads the settings again while requests are served. They are taken in whole or not at all: an ask sees the ones before or
 * the ones behind, what would be refused by the new ones is cut, and what they leave as it was goes on as it is.
 */
export class Reloading {
  readonly #parts: Parts
  /** With requests in flight that began by other settings. */
  readonly #leaving = new Set<Upstream>()
  #now: Configured
  #wanted: Occasion | undefined
  #isClosed = false
  #running: Promise<void> | undefined

  constructor(parts: Parts) {
    this.#parts = parts
    this.#now = parts.first
  }

  get current(): Configured {
    return this.#now
  }

  /** Asked for again while it runs, it runs once more. Does not reject: what is wrong is told in the log, the metrics and the audit. */
  reload(occasion: Occasion): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    this.#wanted = occasion
    this.#running ??= this.#run()
    return this.#running
  }

  /**
   * Cuts every upstream socket, of settings before, too. A reload that is still under way comes to nothing, and is not waited
   * for: a store that does not answer would keep everything from closing in time.
   */
  async close(): Promise<void> {
    this.#isClosed = true
    const { connections, unlisted } = this.#now
    const all = [...connections.values(), unlisted].map(({ upstream }) => upstream)
    await Promise.all([...all, ...this.#leaving].map((upstream) => upstream.destroy()))
    this.#now.references.close()
  }

  async #run(): Promise<void> {
    for (let occasion = this.#wanted; occasion && !this.#isClosed; occasion = this.#wanted) {
      this.#wanted = undefined
      // One after the other is the point.
      await this.#once(occasion)
    }
    // In the turn in which it was seen that nobody wants more: whoever asks a moment later must not count on this run.
    this.#running = undefined
  }

  async #once(occasion: Occasion): Promise<void> {
    const { log, metrics } = this.#parts
    const before = this.#now
    const { file } = before.loaded
    try {
      const next = await this.#read(file)
      if (this.#isClosed) return next.references.close()
      this.#take(next)
      this.#record(occasion, { before, after: next })
      for (const warning of next.loaded.warnings) log.warn({ file }, warning)
      log.info({ file, settingsDigest: next.loaded.digest }, 'settings were read again, and hold from now on')
      this.#count('ok')
    } catch (error) {
      if (this.#isClosed) return
      this.#record(occasion, { before, after: undefined })
      const words = error instanceof Error ? error.message : String(error)
      log.error({ file, error: words }, 'settings were read again, and are not taken in: those before go on')
      metrics.settingsStale.set(1)
      this.#count('refused')
    }
  }

  #count(outcome: 'ok' | 'refused'): void {
    const { metrics } = this.#parts
    metrics.reloads.inc({ outcome })
    if (outcome === 'ok') metrics.settingsStale.set(0)
  }

  async #read(file: string): Promise<Configured> {
    const { tools, shared, store, log } = this.#parts
    const loaded = await loadSettingsAgain(file)
    const faults = restartFaults(this.#parts.first.loaded.settings, loaded.settings, file)
    if (faults.length > 0) throw new SettingsError(loaded.locateAll(faults))
    const onFault = (message: string) => log.error({ error: message }, 'a secret file changed for the worse')
    const references = await openReferences(liveParts(loaded), onFault, shared)
    try {
      if (store) await references.openStored(store.secrets)
      this.#parts.judgeTrust(loaded, references)
      // A change that could go unrecorded must not be made.
      if (this.#parts.isAuditFull()) throw new Error('the audit can take no more: see why, then ask for it again')
      return configure(loaded, references, tools, this.#now)
    } catch (error) {
      references.close()
      throw error
    }
  }

  #take(next: Configured): void {
    const before = this.#now
    this.#parts.live.reconfigure(next)
    this.#now = next
    const kept = new Set(next.connections.values())
    for (const connection of before.connections.values()) if (!kept.has(connection)) this.#retire(connection.upstream)
    // What was opened at the start is also what the doors, the store and the audit go by.
    if (before !== this.#parts.first) before.references.close()
  }

  #retire(upstream: Upstream): void {
    this.#leaving.add(upstream)
    upstream.retire(() => this.#leaving.delete(upstream))
  }

  #record(occasion: Occasion, { before, after }: { before: Configured; after: Configured | undefined }): void {
    this.#parts.change({
      time: new Date(this.#parts.clock.now()).toISOString(),
      id: randomUUIDv7(),
      operator: 'settings',
      proof: occasion,
      action: 'settings.reload',
      subject: before.loaded.file,
      before: summaryOf(before.loaded),
      after: after && summaryOf(after.loaded),
      code: after ? undefined : 'input-invalid',
    })
  }
}

/** Of the rest nothing is opened anew, because it is as it was. */
function liveParts(loaded: Loaded): Loaded {
  const audit: Settings['audit'] = { sinks: [], whenFull: 'refuse' }
  const settings: Settings = {
    ...loaded.settings,
    listeners: [],
    admin: undefined,
    health: undefined,
    traces: undefined,
    audit,
  }
  return { ...loaded, settings }
}

/** Which settings they were: the digest is that of the metric, too. */
function summaryOf({ digest, settings: { callers, connections, grants } }: Loaded): object {
  const [callerCount, connectionCount] = [callers, connections].map((part) => Object.keys(part).length)
  return { digest, callers: callerCount, connections: connectionCount, grants: grants.length }
}
