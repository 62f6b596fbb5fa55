import { z } from '../forms/zod.ts'
import type { AuditFilter, AuditLine, AuditRows } from '../store/audit-rows.ts'
import { pagesOf } from './audit-export.ts'

const URN = 'urn:uuid:'
const UUID = /^(?:urn:uuid:)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
/** Of a UUID, and then of one of version 7. */
const VERSION_7 = /-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i

/** The id of a record, as `instance` of a problem has it. */
export const recordId = z
  .string()
  .regex(UUID, 'use the "instance" of a problem: a UUID, with or without "urn:uuid:"')
  .regex(
    VERSION_7,
    'use the "instance" of a problem, a UUID of version 7: others say no time, and an older Sallyport made them; export that time, and look for the id there',
  )
  .meta({ description: '`instance` of the problem that a caller got, with or without `urn:uuid:`' })

/** How far a record may be from the making of its id, in ms: an ask has the time when it came, a change when it was made. */
const SPANS = {
  ask: { before: 1_000, after: 2_000 },
  change: { before: 1_000, after: 60_000 },
} as const

/**
 * The records of an id, newest first: one ask, or all that one request changed. No row is found by its id: a UUID of version
 * 7 says when it was made, and what happened around that time is read through.
 * @throws StoreError
 */
export async function findById(audit: AuditRows, id: string, filter: AuditFilter): Promise<readonly AuditLine[]> {
  const plain = id.toLowerCase().replace(URN, '')
  const madeAt = madeAtOf(plain)
  const kinds = (['ask', 'change'] as const).filter((kind) => filter.kind === undefined || filter.kind === kind)
  const found: AuditLine[] = []
  for (const kind of kinds) {
    const since = Math.max(madeAt - SPANS[kind].before, filter.since ?? 0)
    const until = Math.min(madeAt + SPANS[kind].after, filter.until ?? Number.POSITIVE_INFINITY)
    const pages = pagesOf(audit, { ...filter, kind, since, until, order: 'newest' })
    for await (const lines of pages) found.push(...lines.filter(({ line }) => idOf(line) === plain))
  }
  return found
}

/** @see RFC 9562 section 5.7 */
function madeAtOf(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
}

function idOf(line: string): unknown {
  return (JSON.parse(line) as { readonly id?: unknown }).id // a record is an object
}
