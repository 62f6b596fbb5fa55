import type { AuditKind, AuditLine } from '../core/audit-line.ts'
import { keysOf } from './keys.ts'
import { partsOf, type WalkedRows } from './rows.ts'

/** Rows that are filed under other keys than their lines say. */
export interface Misfiled {
  /** How many were looked at. */
  readonly rows: number
  readonly misfiled: number
  /** The first of them. */
  readonly first: Pick<AuditLine, 'instance' | 'run' | 'seq'> | undefined
}

/** Rows at once. */
const PAGE = 500

/**
 * Compares what rows are found by with what their lines say: the hash is over the line, so a column that somebody changed
 * hides a row from every search, and breaks no chain.
 */
export async function findMisfiled(rows: WalkedRows): Promise<Misfiled> {
  let [count, misfiled] = [0, 0]
  let first: AuditLine | undefined
  for await (const part of partsOf(rows, PAGE))
    for (const line of part) {
      count++
      if (isFiled(line)) continue
      misfiled++
      first ??= line
    }
  return { rows: count, misfiled, first }
}

function isFiled({ line, keys }: AuditLine): boolean {
  try {
    const { msg, ...body }: Record<string, unknown> & { msg: AuditKind } = JSON.parse(line)
    const told = keysOf({ kind: msg, body })
    return KEYS.every((key) => (told[key] ?? undefined) === (keys[key] ?? undefined))
  } catch {
    return false
  }
}

const KEYS = ['time', 'kind', 'caller', 'connection', 'grant', 'host', 'code', 'fingerprint', 'secret'] as const
