import { resolve } from 'node:path'
import type { AuditHead, AuditLine } from '../core/audit-line.ts'
import { SendError, type Sent } from '../otlp/collector.ts'
import { Dropped } from './dropped.ts'
import { laterOf } from './last-line.ts'
import type { Sink, SinkTools } from './sink.ts'
import { Spill } from './spill.ts'
import { Waiting } from './waiting.ts'

/** How lines get to a place that may be away. */
export interface Route {
  /**
   * Sends some lines, in order; called again with the same ones after a failure, and never twice at once. Must settle.
   * @throws SendError, or any error: they are sent again later
   */
  send(lines: readonly AuditLine[]): Promise<Sent>
  latest: Sink['latest']
  /** Lines of one `send`, at most. */
  readonly maxLines: number
  /** How long fewer than that wait for more; ms. */
  readonly tickMs: number
}

const FIRST_RETRY_MS = 250
const LAST_RETRY_MS = 10_000
/** For what is left at the end; the rest stays in the spill. */
const CLOSE_MS = 5_000

/** Sends lines in batches, in the background, one batch at a time; what cannot be sent waits. */
export class Delivery implements Sink {
  readonly #route: Route
  readonly #tools: SinkTools
  readonly #spill: Spill | undefined
  readonly #waiting: Waiting
  readonly #dropped: Dropped
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #failures = 0
  #retryAfterMs = 0
  #isClosing = false

  /** @throws Error in words, when there is no place to spill to */
  constructor(route: Route, tools: SinkTools) {
    this.#route = route
    this.#tools = tools
    this.#spill = openSpill(tools)
    this.#waiting = new Waiting({ spill: this.#spill, onFault: (reason) => tools.onFault(reason) })
    this.#dropped = new Dropped(tools)
    // What the last process has left.
    if (!this.#waiting.isEmpty) this.#schedule(route.tickMs)
  }

  write(line: AuditLine): void {
    if (this.#tools.whenFull === 'drop' && this.#waiting.isOver) return this.#dropped.add(line)
    this.#waiting.push(line)
    this.#dropped.settle()
    const isBatch = this.#failures === 0 && this.#waiting.hasBatch(this.#route.maxLines)
    if (isBatch) this.#start()
    else this.#schedule(this.#route.tickMs)
  }

  isFull(): boolean {
    return this.#waiting.isFull
  }

  limitBytes(): number {
    return this.#waiting.limitBytes
  }

  waitingBytes(): number {
    return this.#waiting.bytes
  }

  /** What waits here is later than what is there, where both are known. */
  async latest(instance: string): Promise<AuditHead | undefined> {
    const waiting = this.#spill?.last(instance)
    const there = await this.#route.latest(instance).catch((error: unknown) => {
      if (!waiting) throw error
    })
    return laterOf(waiting, there ?? undefined)
  }

  #schedule(ms: number): void {
    if (this.#running) return
    this.#timer ??= setTimeout(() => this.#start(), ms).unref()
  }

  #start(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      if (!this.#waiting.isEmpty && !this.#isClosing) this.#schedule(this.#pauseMs())
    })
  }

  /** Whole batches at once, with a breath between them, so that requests come through. */
  async #run(): Promise<void> {
    do {
      await breath()
      if (!(await this.#sendSome())) return
    } while (this.#isClosing ? !this.#waiting.isEmpty : this.#waiting.hasBatch(this.#route.maxLines))
  }

  async #sendSome(): Promise<boolean> {
    const lines = this.#waiting.peek(this.#route.maxLines)
    if (lines.length === 0) return false
    try {
      const { rejected, reason } = await this.#route.send(lines)
      if (rejected > 0) this.#rejected(rejected, reason)
      this.#failures = 0
      this.#waiting.done(lines.length)
      return true
    } catch (error) {
      this.#failed(error)
      return false
    }
  }

  #rejected(count: number, reason = 'no reason was given'): void {
    this.#tools.onFault(`${count} entries were refused for good: ${reason}`)
    this.#tools.onDropped(count)
  }

  #failed(error: unknown): void {
    if (this.#failures++ === 0) this.#tools.onFault(error instanceof Error ? error.message : String(error))
    this.#retryAfterMs = error instanceof SendError ? (error.retryAfterMs ?? 0) : 0
  }

  /** Full jitter above a half, so that the sidecars of a cluster do not come back together. */
  #pauseMs(): number {
    if (this.#failures === 0) return this.#route.tickMs
    const most = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (this.#failures - 1))
    return Math.max(this.#retryAfterMs, most * (0.5 + Math.random() / 2))
  }

  async close(): Promise<void> {
    this.#isClosing = true
    const end = new Promise((done) => setTimeout(done, CLOSE_MS).unref())
    await Promise.race([this.#finish(), end])
    const lost = this.#waiting.close()
    if (lost === 0) return
    this.#tools.onFault(`${lost} entries could not be delivered, and are lost: set audit.spill to keep them`)
    this.#tools.onDropped(lost)
  }

  /** A batch that is on its way may take as long as `send` may: that counts, too. */
  async #finish(): Promise<void> {
    await this.#running
    if (this.#waiting.isEmpty) return
    this.#start()
    await this.#running
  }
}

function openSpill({ spill, directory, name, onFault }: SinkTools): Spill | undefined {
  if (!spill) return undefined
  const path = resolve(directory, spill.path)
  try {
    return new Spill({ directory: path, name, maxBytes: spill.maxBytes, onFault: (reason) => onFault(reason) })
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown'
    throw new Error(`audit.spill.path: ${path} cannot be used (${why}): name a directory that Sallyport may write to`, {
      cause,
    })
  }
}

function breath(): Promise<void> {
  return new Promise((done) => setImmediate(done))
}
