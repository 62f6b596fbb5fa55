import { z } from '../forms/zod.ts'
import { cursorOf } from '../store/audit-cursor.ts'
import type { AuditFilter, AuditLine, AuditPage, AuditRows } from '../store/audit-rows.ts'

const READ_THROUGH =
  'Rows are read through for it, so many an answer: a part may be short, or empty, and go on at its `cursor`'

/** The code by which report mode would have refused. */
export const wouldRefuse = z
  .string()
  .regex(/^[a-z][a-z-]{0,63}$/, 'use the code of a problem, as in "rule-not-matched"')
  .meta({
    description: `what report mode let through: the code by which it would have been refused. ${READ_THROUGH}`,
  })

/** What W3C Trace Context calls a trace id. */
export const traceId = z
  .string()
  .regex(/^(?!0{32})[0-9a-f]{32}$/, 'use a trace id: 32 hex digits, lower case')
  .meta({ description: `asks of this trace. ${READ_THROUGH}` })

const ROWS = 1000
/** Rows that are read for one answer: some tenths of a second. */
const MOST_ROWS = 20_000
const PAGE = 100

/** What no row is found by, and the line says. */
export interface Unindexed {
  readonly wouldRefuse?: string | undefined
  readonly traceId?: string | undefined
}

/**
 * Asks whose line says all of this, a part at a time: each is looked at, within the rest of the filter. A part that ends for
 * its rows has a cursor, as one that ends for its limit.
 * @throws StoreError
 */
export async function findUnindexed(audit: AuditRows, wanted: Unindexed, filter: AuditFilter): Promise<AuditPage> {
  const { limit = PAGE, kind = 'ask' } = filter
  if (kind !== 'ask') return { lines: [], cursor: undefined }
  const says = sayingAll(wanted)
  const lines: AuditLine[] = []
  let { cursor } = filter
  for (let read = 0; read < MOST_ROWS; read += ROWS) {
    const page = await audit.find({ ...filter, kind, limit: ROWS, cursor })
    for (const line of page.lines.filter(says)) {
      lines.push(line)
      if (lines.length === limit) return { lines, cursor: cursorOf({ ...line, time: line.keys.time }) }
    }
    cursor = page.cursor
    if (cursor === undefined) break
  }
  return { lines, cursor }
}

/** What a caller has chosen may look like it, so that the line is read; most need not be. */
function sayingAll(wanted: Unindexed): (line: AuditLine) => boolean {
  const members = Object.entries(wanted).filter(([, value]) => value !== undefined)
  const texts = members.map(([name, value]) => `"${name}":${JSON.stringify(value)}`)
  return ({ line }) => {
    if (!texts.every((text) => line.includes(text))) return false
    const said = JSON.parse(line) as Readonly<Record<string, unknown>> // a record is an object
    return members.every(([name, value]) => said[name] === value)
  }
}
