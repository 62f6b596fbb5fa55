import { hash } from 'node:crypto'
import type { Settings } from '../settings/schema.ts'

/** A caller of one run, and the key that it alone has. */
export interface RunCaller {
  readonly name: string
  readonly key: string
  /** A file for the audit, besides those of the settings. */
  readonly record: string | undefined
}

/** For what a child leaves behind in flight; ms. It is gone, so there is little to wait for. */
const DRAIN_MS = 1_000

/**
 * The settings of a sidecar for one child: one door on a free port, one caller with a key of its own, and an authority,
 * because the child trusts it. Connections, allowlist and grants are those of the file. Grants keep their places, by which
 * the audit names them; those of other callers name nobody here.
 */
export function runSettings(settings: Settings, { name, key, record }: RunCaller): Settings {
  const { admin: _none, health: _neither, ...rest } = settings
  const level = settings.log.level
  const kept = settings.audit.sinks.filter((sink) => !isStandardOutput(sink))
  return {
    ...rest,
    listeners: [{ kind: 'forward', listen: '127.0.0.1:0', mode: '0600', maxSockets: 4096 }],
    // By digest: nothing of this process but the child's environment holds the key.
    callers: { [name]: { kind: 'api-key', digest: `sha256:${hash('sha256', key)}` } },
    ca: settings.ca ?? 'ephemeral',
    audit: { ...settings.audit, sinks: [...kept, ...(record === undefined ? [] : [toFile(record)])] },
    // `info` is what a file says that says nothing, and the terminal is the child's.
    log: { ...settings.log, level: level === 'info' ? 'warn' : level },
    drainTimeoutMs: Math.min(settings.drainTimeoutMs, DRAIN_MS),
  }
}

function toFile(path: string): Settings['audit']['sinks'][number] {
  return { kind: 'json-lines', path }
}

/** Whether entries would go among what the child prints. */
export function isStandardOutput(sink: Settings['audit']['sinks'][number]): boolean {
  return sink.kind === 'json-lines' && sink.path === undefined
}
