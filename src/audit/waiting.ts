import type { AuditLine } from '../core/audit-line.ts'
import { readLine } from './read-line.ts'
import type { Spill } from './spill.ts'

interface Options {
  /** Where they are kept besides; in memory alone without it. */
  readonly spill: Spill | undefined
  /** A line of the spill that nobody can read. */
  onFault(reason: string): void
}

interface Held {
  readonly line: AuditLine
  readonly bytes: number
}

/** Lines that are kept in memory although they are on the disk as well, so that they need not be read again. */
const WINDOW_BYTES = 4 * 1024 * 1024
/** What may wait where there is no disk to wait on. */
const MEMORY_BYTES = 16 * 1024 * 1024

/**
 * Lines on their way to a remote sink, first in, first out. With a spill every line is on the disk at the end of the turn
 * in which it came, and the newest ones are in memory too, as long as the sink keeps up.
 */
export class Waiting {
  readonly #options: Options
  #held: Held[] = []
  #heldBytes = 0

  constructor(options: Options) {
    this.#options = options
  }

  get isEmpty(): boolean {
    return this.#held.length === 0 && !this.#options.spill?.hasUnread
  }

  get isFull(): boolean {
    return this.#options.spill?.isFull ?? this.#heldBytes >= MEMORY_BYTES
  }

  /** No more than this is kept, where lines may be dropped. */
  get isOver(): boolean {
    const { spill } = this.#options
    if (!spill) return this.isFull
    return spill.bytes >= spill.maxBytes || spill.unwrittenBytes >= MEMORY_BYTES
  }

  /** Whether there is so much that nobody has to wait for more. */
  hasBatch(lines: number): boolean {
    return this.#held.length >= lines || this.#options.spill?.hasUnread === true
  }

  get limitBytes(): number {
    return this.#options.spill?.maxBytes ?? MEMORY_BYTES
  }

  get bytes(): number {
    return this.#options.spill?.waitingBytes ?? this.#heldBytes
  }

  push(line: AuditLine): void {
    const { spill } = this.#options
    const isHeld = !spill || (this.#heldBytes < WINDOW_BYTES && !spill.hasUnread)
    const bytes = spill ? spill.append(`${line.line}\n`, isHeld) : line.line.length
    if (isHeld) this.#hold({ line, bytes })
  }

  #hold(held: Held): void {
    this.#held.push(held)
    this.#heldBytes += held.bytes
  }

  /** The first ones; they stay until `done`. */
  peek(maxLines: number): readonly AuditLine[] {
    if (this.#held.length === 0) this.#readBack()
    return this.#held.slice(0, maxLines).map(({ line }) => line)
  }

  #readBack(): void {
    const lines = this.#options.spill?.read().split('\n').slice(0, -1) ?? []
    for (const text of lines) {
      const line = readLine(text)
      if (line) this.#hold({ line, bytes: Buffer.byteLength(text) + 1 })
      else this.#pass(text)
    }
  }

  /** Between lines that can be read it is let go with the one before it. */
  #pass(text: string): void {
    this.#options.onFault('the spill has a line that is none of the audit: it is passed over')
    const bytes = Buffer.byteLength(text) + 1
    const before = this.#held.pop()
    if (before) this.#held.push({ line: before.line, bytes: before.bytes + bytes })
    else return this.#options.spill?.delivered(bytes)
    this.#heldBytes += bytes
  }

  /** So many of the first have arrived. */
  done(lines: number): void {
    const bytes = this.#held.splice(0, lines).reduce((sum, held) => sum + held.bytes, 0)
    this.#heldBytes -= bytes
    this.#options.spill?.delivered(bytes)
  }

  /** How many are lost with this process: none, where there is a spill. */
  close(): number {
    const { spill } = this.#options
    spill?.close()
    return spill ? 0 : this.#held.length
  }
}
