import type { Kind } from '../forms/kind.ts'
import { z } from '../forms/zod.ts'
import { Delivery } from './delivery.ts'
import type { RowStore, Sink, SinkTools } from './sink.ts'

const schema = z
  .strictObject({ kind: z.literal('store') })
  .meta({ description: 'rows of the store, which is what `sallyport audit` and the admin door search' })

/** Rows of one insert: 200 keep the thread of SQLite busy for less than two milliseconds. */
const MAX_LINES = 200
const TICK_MS = 50
/** A database that does not answer is as good as lost; what it took nevertheless, it knows again. */
const ANSWER_MS = 30_000

/** In the background, in batches: no request waits for the database. */
export const store: Kind<typeof schema, SinkTools, Sink> = {
  schema,
  build(_settings, tools) {
    const { rows } = tools
    if (!rows) throw new Error('audit.sinks: kind store needs a store: add "store: { kind: sqlite, path: FILE }"')
    const route = {
      send: (lines: Parameters<RowStore['insert']>[0]) => inTime(rows.insert(lines)),
      latest: (instance: string) => rows.latest(instance),
      maxLines: MAX_LINES,
      tickMs: TICK_MS,
    }
    return new Delivery(route, tools)
  },
}

async function inTime(inserted: Promise<void>): Promise<{ readonly rejected: 0 }> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`the store did not answer within ${ANSWER_MS} ms`)), ANSWER_MS).unref()
  })
  try {
    await Promise.race([inserted, late])
    return { rejected: 0 }
  } finally {
    clearTimeout(timer)
  }
}
