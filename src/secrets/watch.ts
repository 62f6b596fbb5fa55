/** Something at one moment. `stamp` differs whenever it may have changed: two looks with one stamp saw one state. */
export type Look<T> =
  | { readonly stamp: string; readonly value: T }
  /** What is wrong with it, in words. */
  | { readonly stamp: string; readonly fault: string }

/** What is watched. */
export interface Watched<T> {
  /** Does not throw. */
  look(): Promise<Look<T>>
  /** What changes when it does, without reading it; undefined when it is not there. Does not throw. */
  stamp(): Promise<string | undefined>
  isSame(one: T, other: T): boolean
  /** Told, once for each cause, why the value before is kept; the words hold no secret. */
  onFault(fault: string): void
}

/**
 * Keeps a value current. It polls, because a rename, a symlink swap and a write in place each look different to inotify, and
 * a mount may send no event at all. What differs from the value in use is believed when a second look finds the very same:
 * a file may be empty, or half-written, at the first.
 */
export class Watch<T> {
  readonly #watched: Watched<T>
  readonly #pollMs: number
  readonly #listeners: (() => void)[] = []
  #held: { readonly value: T; readonly version: number }
  /** The state that was last acted upon. Unset at first, so that what was read at start is confirmed like any other. */
  #settled: string | undefined
  #candidate: Look<T> | undefined
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  #isFailing = false

  constructor(value: T, watched: Watched<T>, pollMs = 1000) {
    this.#watched = watched
    this.#pollMs = pollMs
    this.#held = { value, version: 1 }
    this.#schedule()
  }

  current(): { readonly value: T; readonly version: number } {
    return this.#held
  }

  /** Whether what is there now cannot be used, and the value before it is. */
  get isFailing(): boolean {
    return this.#isFailing
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  #schedule(): void {
    if (!this.#isClosed) this.#timer = setTimeout(() => void this.#poll(), this.#pollMs).unref()
  }

  async #poll(): Promise<void> {
    if (this.#settled === undefined || (await this.#watched.stamp()) !== this.#settled) await this.#lookAgain()
    this.#schedule()
  }

  async #lookAgain(): Promise<void> {
    const look = await this.#watched.look()
    if (this.#isClosed) return
    const isConfirmed = this.#candidate !== undefined && this.#agree(look, this.#candidate)
    this.#candidate = look
    if (isConfirmed && look.stamp !== this.#settled) this.#settle(look)
  }

  #agree(one: Look<T>, other: Look<T>): boolean {
    if (one.stamp !== other.stamp) return false
    if ('fault' in one || 'fault' in other) return 'fault' in one && 'fault' in other && one.fault === other.fault
    return this.#watched.isSame(one.value, other.value)
  }

  #settle(look: Look<T>): void {
    this.#settled = look.stamp
    this.#isFailing = 'fault' in look
    if ('fault' in look) this.#watched.onFault(look.fault)
    else if (!this.#watched.isSame(look.value, this.#held.value)) this.#accept(look.value)
  }

  #accept(value: T): void {
    this.#held = { value, version: this.#held.version + 1 }
    for (const listener of this.#listeners) this.#tell(listener)
  }

  #tell(listener: () => void): void {
    try {
      listener()
    } catch {
      this.#watched.onFault('has changed, and somebody who was to be told failed')
    }
  }
}
