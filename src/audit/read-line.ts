import { hash } from 'node:crypto'
import type { AuditKind, AuditLine } from '../core/audit-line.ts'
import { keysOf, type ReadRecord } from './keys.ts'

/** A line that was read back. Whether its hash is right is for `isUnaltered` to say. */
export interface ReadLine extends AuditLine, ReadRecord {
  readonly prev: string
}

const KINDS: ReadonlySet<string> = new Set(['ask', 'change', 'checkpoint', 'start', 'gap'] satisfies AuditKind[])
const HASH = /^[0-9a-f]{64}$/
/** `,"hash":"` and 64 digits and `"}` */
const TAIL = 75

/** What a line says; undefined for what is no line of the audit. */
export function readLine(line: string): ReadLine | undefined {
  const body = parse(line)
  if (!body) return undefined
  const { msg, instance, run, seq, prev, hash: own } = body
  if (typeof msg !== 'string' || !KINDS.has(msg) || typeof instance !== 'string' || typeof run !== 'string')
    return undefined
  if (typeof seq !== 'number' || !Number.isSafeInteger(seq) || seq < 1 || !isHash(prev) || !isHash(own))
    return undefined
  const kind = msg as AuditKind // one of KINDS
  return { line, instance, run, seq, hash: own, prev, kind, body, keys: keysOf({ kind, body }) }
}

/** Whether the line is, to the byte, what its hash was made of. */
export function isUnaltered({ line, hash: own }: Pick<AuditLine, 'line' | 'hash'>): boolean {
  return line.endsWith(`,"hash":"${own}"}`) && hash('sha256', `${line.slice(0, -TAIL)}}`, 'hex') === own
}

function isHash(value: unknown): value is string {
  return typeof value === 'string' && HASH.test(value)
}

function parse(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}
