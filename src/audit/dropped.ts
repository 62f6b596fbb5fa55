import type { AuditLine } from '../core/audit-line.ts'
import type { Gap } from './record.ts'
import type { SinkTools } from './sink.ts'

/** Keeps account of what a full sink was told to drop. */
export class Dropped {
  readonly #tools: Pick<SinkTools, 'onDropped' | 'onGap'>
  #range: Omit<Gap, 'time' | 'sink'> | undefined

  constructor(tools: Pick<SinkTools, 'onDropped' | 'onGap'>) {
    this.#tools = tools
  }

  add({ run, seq }: AuditLine): void {
    this.#range = { run, from: this.#range?.from ?? seq, to: seq }
    this.#tools.onDropped(1)
  }

  /** To be called when a line was taken again. */
  settle(): void {
    if (!this.#range) return
    const range = this.#range
    this.#range = undefined
    this.#tools.onGap(range)
  }
}
