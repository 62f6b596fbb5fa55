import type { AuditFilter, AuditRows } from '../store/audit-rows.ts'

/** Rows that are read at once: what a client has not taken yet is not read. */
const ROWS = 1000

/**
 * Lines as they were written. The first part is read before the answer begins, so that a lost store is an answer of its
 * own; later it breaks the answer off, because a file that ends early must not look whole.
 * @throws StoreError
 */
export async function exportLines(audit: AuditRows, filter: AuditFilter): Promise<ReadableStream> {
  const first = await audit.find({ ...filter, order: 'oldest', limit: ROWS })
  return ReadableStream.from(textOf(first))

  async function* textOf(page: typeof first): AsyncGenerator<Uint8Array> {
    for (let part = page; ; ) {
      if (part.lines.length > 0) yield Buffer.from(part.lines.map(({ line }) => `${line}\n`).join(''))
      if (part.cursor === undefined) return
      part = await audit.find({ ...filter, order: 'oldest', limit: ROWS, cursor: part.cursor })
    }
  }
}
