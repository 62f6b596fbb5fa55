import type { AuditHead, AuditLine } from '../core/audit-line.ts'
import type { References } from '../secrets/reference.ts'
import type { Dialer } from '../wire/dial.ts'
import type { Gap } from './record.ts'

/** Where lines go. Each sink gets the very same ones, in order. */
export interface Sink {
  /** Called once for each line, and must not wait. */
  write(line: AuditLine): void
  /** Whether the next line may be lost. What was taken before is safe, and comes through by itself. */
  isFull(): boolean
  /** Bytes that have been taken, and are not where they belong yet. */
  waitingBytes(): number
  /** How many of them there may be before it is full. */
  limitBytes(): number
  /** The last line of an instance that is there; undefined when none is. May fail: then nobody knows. */
  latest(instance: string): Promise<AuditHead | undefined>
  /** Returns when all lines are out, or safe for the next start, or given up. */
  close(): Promise<void>
}

/** What happens when a sink can take no more: asks are refused, or lines are dropped. */
export type WhenFull = 'refuse' | 'drop'

/** The rows of the store, as far as a sink needs them. */
export interface RowStore {
  /** All or none; a line that is there already (same instance, run and seq) is left as it is. */
  insert(lines: readonly AuditLine[]): Promise<void>
  latest(instance: string): Promise<AuditHead | undefined>
}

/** What a sink is built with. Relative paths start at `directory`. */
export interface SinkTools {
  /** Of this sink, for messages, metrics and its own files: its kind, and a number where there are several. */
  readonly name: string
  readonly directory: string
  readonly whenFull: WhenFull
  /** Where to keep what a remote sink cannot take now; in memory alone without it. */
  readonly spill: { readonly path: string; readonly maxBytes: number } | undefined
  readonly references: References
  readonly dialer: Dialer
  /** Absent where the settings have no store. */
  readonly rows: RowStore | undefined
  /** What identifies this process to a collector. */
  readonly instance: string
  /** What keeps lines from being written, once for each kind of failure in a row. */
  onFault(reason: string): void
  /** Lines that are lost to this sink. */
  onDropped(count: number): void
  /** The same, told once lines come through again: to be recorded. */
  onGap(gap: Omit<Gap, 'time' | 'sink'>): void
}
