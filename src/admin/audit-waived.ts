import { z } from '../forms/zod.ts'
import { cursorOf } from '../store/audit-cursor.ts'
import type { AuditFilter, AuditLine, AuditPage, AuditRows } from '../store/audit-rows.ts'

/** The code by which report mode would have refused. */
export const wouldRefuse = z
  .string()
  .regex(/^[a-z][a-z-]{0,63}$/, 'use the code of a problem, as in "rule-not-matched"')
  .meta({
    description:
      'what report mode let through: the code by which it would have been refused. Rows are read through for it, so many an answer: a part may be short, or empty, and go on at its `cursor`',
  })

const ROWS = 1000
/** Rows that are read for one answer: some tenths of a second. */
const MOST_ROWS = 20_000
const PAGE = 100

/**
 * What report mode let through, a part at a time. No row is found by it, and few are it: each is looked at, within the rest
 * of the filter. A part that ends for its rows has a cursor, as one that ends for its limit.
 * @throws StoreError
 */
export async function findWaived(audit: AuditRows, code: string, filter: AuditFilter): Promise<AuditPage> {
  const { limit = PAGE, kind = 'ask' } = filter
  if (kind !== 'ask') return { lines: [], cursor: undefined }
  const lines: AuditLine[] = []
  let { cursor } = filter
  for (let read = 0; read < MOST_ROWS; read += ROWS) {
    const page = await audit.find({ ...filter, kind, limit: ROWS, cursor })
    for (const line of page.lines.filter((one) => isWaived(one, code))) {
      lines.push(line)
      if (lines.length === limit) return { lines, cursor: cursorOf({ ...line, time: line.keys.time }) }
    }
    cursor = page.cursor
    if (cursor === undefined) break
  }
  return { lines, cursor }
}

/** What a caller has chosen may look like it, so that the line is read; most need not be. */
function isWaived({ line }: AuditLine, code: string): boolean {
  if (!line.includes(`"wouldRefuse":"${code}"`)) return false
  return (JSON.parse(line) as { readonly wouldRefuse?: unknown }).wouldRefuse === code // a record is an object
}
