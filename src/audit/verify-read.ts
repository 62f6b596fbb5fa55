import type { AuditHead } from '../core/audit-line.ts'
import type { ReadLine } from './read-line.ts'
import type { Checkpoint, Gap, Start } from './record.ts'

type Fields = Readonly<Record<string, unknown>>

/** What a start says; undefined for a line that is none, or says it otherwise. */
export function readStart({ kind, body }: ReadLine): Pick<Start, 'after' | 'checkpointEveryMs'> | undefined {
  if (kind !== 'start') return undefined
  const { after, checkpointEveryMs } = body
  const head = after === undefined ? undefined : readHead(after)
  if (after !== undefined && !head) return undefined
  return { after: head, checkpointEveryMs: typeof checkpointEveryMs === 'number' ? checkpointEveryMs : undefined }
}

/** What a checkpoint says; undefined when a part of it is not there. */
export function readCheckpoint({ covers, key, signature }: Fields): Omit<Checkpoint, 'time'> | undefined {
  const { seq, hash } = fieldsOf(covers)
  if (typeof seq !== 'number' || typeof hash !== 'string') return undefined
  return typeof key === 'string' && typeof signature === 'string'
    ? { covers: { seq, hash }, key, signature }
    : undefined
}

/** What a gap says. */
export function readGap({ run, from, to }: Fields): Pick<Gap, 'run' | 'from' | 'to'> | undefined {
  return typeof run === 'string' && typeof from === 'number' && typeof to === 'number' ? { run, from, to } : undefined
}

function readHead(value: unknown): AuditHead | undefined {
  const { run, seq, hash } = fieldsOf(value)
  return typeof run === 'string' && typeof seq === 'number' && typeof hash === 'string' ? { run, seq, hash } : undefined
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
