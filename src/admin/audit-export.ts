import { Readable } from 'node:stream'
import { partsOf } from '../audit/rows.ts'
import type { AuditFilter, AuditLine, AuditRows } from '../store/audit-rows.ts'

/** Rows that are read at once: what a client has not taken yet is not read. */
const ROWS = 1000

/**
 * Lines as they were written. All of them come in the order of the chain, which is verified by it: an ask has the time at
 * which it came, and may end after later ones. The first part is read before the answer begins, so that a lost store is an
 * answer of its own; later it breaks the answer off, because a file that ends early must not look whole.
 * @throws StoreError
 */
export async function exportLines(audit: AuditRows, filter: AuditFilter): Promise<Readable> {
  const isWhole = Object.values(filter).every((one) => one === undefined)
  const parts = isWhole ? partsOf(audit, ROWS) : pagesOf(audit, { ...filter, order: 'oldest' })
  const first = await parts.next()
  return Readable.from(textOf(first, parts), { objectMode: false })
}

type Parts = AsyncGenerator<readonly AuditLine[], undefined>

async function* textOf(first: Awaited<ReturnType<Parts['next']>>, parts: Parts): AsyncGenerator<Buffer> {
  for (let part = first; !part.done; part = await parts.next()) {
    if (part.value.length > 0) yield Buffer.from(part.value.map(({ line }) => `${line}\n`).join(''))
  }
}

/** Everything that fits, a part at a time. @throws StoreError */
export async function* pagesOf(audit: AuditRows, filter: AuditFilter): Parts {
  let cursor: string | undefined
  do {
    const page = await audit.find({ ...filter, limit: ROWS, cursor })
    yield page.lines
    cursor = page.cursor
  } while (cursor !== undefined)
}
