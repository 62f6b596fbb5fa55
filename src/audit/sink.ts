import type { Entry } from './entry.ts'

/** Where entries go. `write` is called once for each ask, and must not wait; `close` returns when all of them are out. */
export interface Sink {
  write(entry: Entry): void
  close(): Promise<void>
}

/** What a sink is built with. Relative paths start at `directory`. */
export interface SinkTools {
  readonly directory: string
  /** What keeps entries from being written, once for each kind of failure in a row. */
  onFault(reason: string): void
}
