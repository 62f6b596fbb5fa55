import { randomUUIDv7 } from 'node:crypto'
import { hostname } from 'node:os'
import type { AuditHead, AuditLine } from '../core/audit-line.ts'
import type { Clock } from '../core/clock.ts'
import { Audit } from './audit.ts'
import { createSigner } from './checkpoint.ts'
import { laterOf } from './last-line.ts'
import type { Gap } from './record.ts'
import { buildSink } from './registry.ts'
import type { AuditSettings } from './settings.ts'
import type { Sink, SinkTools } from './sink.ts'

/** What an audit is opened with. */
export interface AuditTools extends Pick<SinkTools, 'directory' | 'references' | 'dialer' | 'rows'> {
  readonly clock: Clock
  readonly settingsDigest: string
  /** What keeps the audit from being written, once for each kind of failure in a row. `sink`: its name. */
  onFault(sink: string, reason: string): void
  /** Each line as it is written, for who follows the audit. Must not wait. */
  readonly onLine?: ((line: AuditLine) => void) | undefined
  /** Lines that a sink has lost. */
  onDropped(sink: string, count: number): void
}

/**
 * Opens every sink, for a run whose first line names the last one that any sink knows of this instance.
 * @throws Error in words
 */
export async function openAudit(settings: AuditSettings, tools: AuditTools): Promise<Audit> {
  const { whenFull, checkpoints } = settings
  const { clock, references, onFault } = tools
  const instance = settings.instance ?? hostname()
  const signer = checkpoints && createSigner(references.secret(checkpoints.key))
  // A sink finds gaps while lines are written, and the audit that writes them is there by then.
  let audit: Audit | undefined
  const sinks = openSinks(settings, { ...tools, instance, onGap: (sink, gap) => audit?.gap(sink, gap) })
  const after = await latestOf(instance, sinks, onFault)
  audit = new Audit({
    instance,
    run: randomUUIDv7(),
    settingsDigest: tools.settingsDigest,
    after,
    sinks,
    whenFull,
    checkpoints: checkpoints && signer && { signer, everyMs: checkpoints.everyMs },
    clock,
    onLine: tools.onLine,
    onFault,
  })
  return audit
}

type Named = { readonly name: string; readonly sink: Sink }

interface OpenTools extends AuditTools {
  readonly instance: string
  onGap(sink: string, gap: Omit<Gap, 'time' | 'sink'>): void
}

function openSinks({ sinks, whenFull, spill }: AuditSettings, tools: OpenTools): readonly Named[] {
  const { onFault, onDropped, onGap, onLine: _tail, ...shared } = tools
  return sinks.map((one, index) => {
    const before = sinks.slice(0, index).filter(({ kind }) => kind === one.kind).length
    const name = before === 0 ? one.kind : `${one.kind}-${before + 1}`
    const sink = buildSink(one, {
      ...shared,
      name,
      whenFull,
      spill,
      onFault: (reason) => onFault(name, reason),
      onDropped: (count) => onDropped(name, count),
      onGap: (gap) => onGap(name, gap),
    })
    return { name, sink }
  })
}

/** A sink that cannot say keeps nobody from starting. */
async function latestOf(instance: string, sinks: readonly Named[], onFault: AuditTools['onFault']) {
  let latest: AuditHead | undefined
  for (const { name, sink } of sinks) {
    const head = await sink.latest(instance).catch((error: unknown) => {
      onFault(name, `the last entry cannot be read: ${error instanceof Error ? error.message : String(error)}`)
      return undefined
    })
    latest = laterOf(head, latest)
  }
  return latest
}
