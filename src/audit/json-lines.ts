import { mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { AuditHead, AuditLine } from '../core/audit-line.ts'
import type { Kind } from '../forms/kind.ts'
import { z } from '../forms/zod.ts'
import { Dropped } from './dropped.ts'
import { lastLineOf } from './last-line.ts'
import { LineWriter } from './line-writer.ts'
import type { Sink, SinkTools } from './sink.ts'

const schema = z
  .strictObject({
    kind: z.literal('json-lines'),
    path: z.string().min(1).optional().meta({
      description:
        'file to append to, created with mode 0600, and opened anew when it has been rotated or on SIGHUP; without it, standard output',
    }),
  })
  .meta({ description: 'one JSON object a line' })

/** What waits for a slow pipe, or in `drop` for a full disk. */
const KEEP_BYTES = 16 * 1024 * 1024

/** Synchronous writes of gathered lines: a line once written survives whatever happens to the process next. */
export const jsonLines: Kind<typeof schema, SinkTools, Sink> = {
  schema,
  build({ path }, tools) {
    const file = path === undefined ? undefined : resolve(tools.directory, path)
    if (file !== undefined) mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    return new JsonLines(file, tools)
  },
}

class JsonLines implements Sink {
  readonly #file: string | undefined
  readonly #writer: LineWriter
  readonly #drops: boolean
  readonly #dropped: Dropped

  constructor(file: string | undefined, tools: SinkTools) {
    this.#file = file
    this.#writer = new LineWriter({ file, isRotated: true, onFault: (reason) => tools.onFault(reason) })
    this.#drops = tools.whenFull === 'drop'
    this.#dropped = new Dropped(tools)
  }

  /** Where asks are refused, what is under way is few, and all of it is kept. */
  write(line: AuditLine): void {
    if (this.#drops && this.#writer.bytes > KEEP_BYTES) return this.#dropped.add(line)
    this.#writer.write(`${line.line}\n`)
    this.#dropped.settle()
  }

  isFull(): boolean {
    return this.#writer.isFailing || this.#writer.bytes > KEEP_BYTES
  }

  limitBytes(): number {
    return KEEP_BYTES
  }

  waitingBytes(): number {
    return this.#writer.bytes
  }

  async latest(instance: string): Promise<AuditHead | undefined> {
    return this.#file === undefined ? undefined : lastLineOf(instance, this.#file)
  }

  async close(): Promise<void> {
    this.#writer.close()
  }
}
