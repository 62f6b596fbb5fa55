import { SendError, type Sent } from '../otlp/collector.ts'

/** How spans get to a collector. */
export interface ExporterTerms {
  /**
   * Sends some; again with the same ones and newer ones after a failure, never twice at once. Must settle.
   * @throws SendError, or any error: they are sent again later
   */
  send(spans: readonly string[]): Promise<Sent>
  /** That wait, at most; besides those that are on their way. */
  readonly maxQueue: number
  readonly maxBatch: number
  /** How long fewer than a batch wait for more; ms. */
  readonly tickMs: number
  /** What keeps spans from coming through, once for each kind of failure in a row. */
  onFault(reason: string): void
  /** Spans that nobody will see, and why. */
  onDropped(count: number, reason: DropReason): void
}

/** `queue`: there were newer ones; `rejected`: by the collector; `shutdown`: there was no time left. */
export type DropReason = 'queue' | 'rejected' | 'shutdown'

const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 30_000

/**
 * Sends spans in batches, in the background, one batch at a time. What cannot be sent waits, and the oldest make room for
 * the newest: a collector that is away costs so much memory and no more, and nobody waits for it.
 */
export class Exporter {
  readonly #terms: ExporterTerms
  #queue: string[] = []
  #onTheWay = 0
  #sending: Promise<boolean> | undefined
  #timer: NodeJS.Timeout | undefined
  #failures = 0
  #retryAfterMs = 0
  #isClosing = false

  constructor(terms: ExporterTerms) {
    this.#terms = terms
  }

  /** Waiting, and on their way. */
  get waiting(): number {
    return this.#queue.length + this.#onTheWay
  }

  /** Never throws, never waits. */
  push(span: string): void {
    if (this.#isClosing) return this.#terms.onDropped(1, 'shutdown')
    this.#queue.push(span)
    this.#trim()
    const isBatch = this.#failures === 0 && this.#queue.length >= this.#terms.maxBatch
    if (isBatch && !this.#sending) this.#flush()
    else this.#schedule(this.#terms.tickMs)
  }

  /** Sends what is left, again where that fails, as long as there is time; the rest is counted. Never rejects. */
  async close(withinMs: number): Promise<void> {
    this.#isClosing = true
    clearTimeout(this.#timer)
    const end = performance.now() + withinMs
    const left = () => end - performance.now()
    while (this.waiting > 0 && left() > 0) {
      const isSent = await inTime(this.#sending ?? this.#sendSome(), left())
      if (!isSent) await pause(Math.min(this.#pauseMs(), left()))
    }
    if (this.waiting > 0) this.#terms.onDropped(this.waiting, 'shutdown')
    this.#queue = []
    this.#onTheWay = 0
  }

  #trim(): void {
    const excess = this.#queue.length - this.#terms.maxQueue
    if (excess <= 0) return
    this.#queue.splice(0, excess)
    this.#terms.onDropped(excess, 'queue')
  }

  #schedule(ms: number): void {
    if (this.#isClosing || this.#sending) return
    this.#timer ??= setTimeout(() => this.#flush(), ms).unref()
  }

  #flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    void this.#sendSome().finally(() => {
      if (this.#queue.length === 0) return
      const isBatch = this.#failures === 0 && this.#queue.length >= this.#terms.maxBatch
      this.#schedule(isBatch ? 0 : this.#pauseMs())
    })
  }

  /** Whether they came through. Never rejects. */
  #sendSome(): Promise<boolean> {
    const sending = this.#send(this.#queue.splice(0, this.#terms.maxBatch)).finally(() => (this.#sending = undefined))
    this.#sending = sending
    return sending
  }

  async #send(batch: readonly string[]): Promise<boolean> {
    this.#onTheWay = batch.length
    try {
      const { rejected, reason } = await this.#terms.send(batch)
      if (rejected > 0) this.#rejected(rejected, reason)
      this.#failures = 0
      return true
    } catch (error) {
      this.#failed(error)
      // In front again, and then the oldest make room.
      this.#queue = [...batch, ...this.#queue]
      return false
    } finally {
      this.#onTheWay = 0
      this.#trim()
    }
  }

  #rejected(count: number, reason = 'no reason was given'): void {
    this.#terms.onFault(`${count} spans were refused for good: ${reason}`)
    this.#terms.onDropped(count, 'rejected')
  }

  #failed(error: unknown): void {
    if (this.#failures++ === 0) this.#terms.onFault(error instanceof Error ? error.message : String(error))
    this.#retryAfterMs = error instanceof SendError ? (error.retryAfterMs ?? 0) : 0
  }

  /** Full jitter above a half, so that the sidecars of a cluster do not come back together. */
  #pauseMs(): number {
    if (this.#failures === 0) return this.#terms.tickMs
    const most = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#failures - 1, 16))
    return Math.max(this.#retryAfterMs, most * (0.5 + Math.random() / 2))
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, Math.max(0, ms)))
}

/** False as well where it takes longer. */
async function inTime(sending: Promise<boolean>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((done) => (timer = setTimeout(() => done(false), Math.max(0, ms))))
  const isSent = await Promise.race([sending, late])
  clearTimeout(timer)
  return isSent
}
