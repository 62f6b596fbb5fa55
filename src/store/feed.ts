import type { Clock } from '../core/clock.ts'
import type { StoreState } from './store.ts'

/** How the feed is to work. `pollMs`: between two looks. `random`: from 0 up to but not including 1. */
export interface FeedTerms {
  readonly pollMs: number
  readonly clock: Clock
  random(): number
  /** Takes in what others have changed, or fails. */
  catchUp(): Promise<void>
  /** What is wrong, in words. */
  wordsOf(error: unknown): string
  /** Told when the store is lost, once; and again when it is for another reason. */
  onFault(message: string): void
  /** Told when it is confirmed again. */
  onHealed(): void
}

const FIRST_WAIT_MS = 200
const LONGEST_WAIT_MS = 2_000

/**
 * Looks for what others have changed: whenever it is told that there may be something, and every `pollMs` anyway. While
 * the store is lost it tries again and again, up to 2 s apart and never in step with other instances.
 */
export class Feed {
  readonly #terms: FeedTerms
  #confirmedAt: number
  #fault: string | undefined
  #failures = 0
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> | undefined
  #isHinted = false
  #isClosed = false

  /** `confirmedAt`: when everything was read for the first time. */
  constructor(terms: FeedTerms, confirmedAt: number) {
    this.#terms = terms
    this.#confirmedAt = confirmedAt
    this.#schedule(terms.pollMs)
  }

  confirmedAt(): number {
    return this.#confirmedAt
  }

  state(): StoreState {
    return this.#fault === undefined ? { phase: 'confirmed' } : { phase: 'lost', fault: this.#fault }
  }

  /** There may be news. */
  hint(): void {
    this.#isHinted = true
    if (!this.#looking && this.#failures === 0) this.#schedule(0)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.#looking
  }

  #schedule(inMs: number): void {
    clearTimeout(this.#timer)
    if (!this.#isClosed) this.#timer = setTimeout(() => void this.#look(), inMs).unref()
  }

  async #look(): Promise<void> {
    this.#looking ??= this.#lookOnce()
    await this.#looking
    this.#looking = undefined
    this.#schedule(this.#waitMs())
  }

  async #lookOnce(): Promise<void> {
    this.#isHinted = false
    // What is changed after this moment may be missing from the answer.
    const askedAt = this.#terms.clock.monotonic()
    try {
      await this.#terms.catchUp()
      this.#confirmedAt = askedAt
    } catch (error) {
      this.#fail(this.#terms.wordsOf(error))
      return
    }
    const wasLost = this.#fault !== undefined
    this.#failures = 0
    this.#fault = undefined
    if (wasLost) this.#terms.onHealed()
  }

  #fail(words: string): void {
    this.#failures++
    const isNews = words !== this.#fault
    this.#fault = words
    if (isNews && !this.#isClosed) this.#terms.onFault(words)
  }

  #waitMs(): number {
    if (this.#failures === 0) return this.#isHinted ? 0 : this.#terms.pollMs
    const ceiling = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (this.#failures - 1))
    return ceiling / 4 + this.#terms.random() * ceiling * 0.75
  }
}
