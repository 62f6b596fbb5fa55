import { mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Kind } from '../forms/kind.ts'
import { z } from '../forms/zod.ts'
import { LineWriter } from './line-writer.ts'
import type { Sink, SinkTools } from './sink.ts'

const schema = z
  .strictObject({
    kind: z.literal('json-lines'),
    path: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'file to append to, created with mode 0600; without it, standard output' }),
  })
  .meta({ description: 'one JSON object a line' })

/** Synchronous writes of gathered lines: a line once written survives whatever happens to the process next. */
export const jsonLines: Kind<typeof schema, SinkTools, Sink> = {
  schema,
  build({ path }, { directory, onFault }) {
    const file = path === undefined ? undefined : resolve(directory, path)
    if (file !== undefined) mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    const writer = new LineWriter({ file, onFault })
    return {
      // `msg` tells entries from the ready line, where both go to standard output.
      write: (entry) => writer.write(`{"msg":"ask",${JSON.stringify(entry).slice(1)}\n`),
      close: async () => writer.close(),
    }
  },
}
