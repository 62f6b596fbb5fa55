import type { Clock } from '../core/clock.ts'
import { type KeySet, readJwks } from './jwks.ts'

/** Where the keys of an issuer come from: a file, or the issuer. One instance serves all callers of the issuer. */
export interface KeySource {
  /** The keys to judge by now; at once while they are fresh. @throws Error in words when there are none to judge by */
  current(): KeySet | Promise<KeySet>
  /** Newer ones, because a token names a key that is not among them; undefined: not so soon again. */
  renewed(): Promise<KeySet> | undefined
}

/** Keys in a file, which is read again when it changes. The text has been judged. */
export class FileKeys implements KeySource {
  readonly #text: () => string
  #read = ''
  #keys: KeySet | undefined

  constructor(text: () => string) {
    this.#text = text
  }

  current(): KeySet {
    const text = this.#text()
    if (this.#keys && text === this.#read) return this.#keys
    const keys = readJwks(text)
    if (typeof keys === 'string') throw new Error(`the file of the keys ${keys}`)
    this.#read = text
    this.#keys = keys
    return keys
  }

  renewed(): undefined {
    return undefined
  }
}

/** What remote keys are built with. Times in ms. */
export interface RemoteKeysOptions {
  readonly clock: Clock
  /** Fetches them once. */
  fetch(): Promise<KeySet>
  /** Older ones are fetched anew before anything is judged by them. */
  readonly refreshMs: number
  /** How long they serve while they cannot be fetched. */
  readonly maxAgeMs: number
  /** Told once when fetching begins to fail. */
  onFault(reason: string): void
}

/** Fetched in the background from this part of their age on, so that nobody waits. */
const AHEAD = 0.8
const RETRY_MS = { least: 2_000, most: 60_000 }
/** Between two fetches for keys that nobody knows: whoever makes up kids does not hammer the issuer through us. */
const COOLDOWN_MS = 10_000

interface Moment {
  readonly wall: number
  readonly monotonic: number
}

/**
 * Keys of an issuer, one flight for all who wait. `fresh → ageing → late`: ageing ones are fetched in the background; late
 * ones are waited for, unless fetching fails just now: then they serve until `maxAgeMs`.
 */
export class RemoteKeys implements KeySource {
  readonly #options: RemoteKeysOptions
  #held: { readonly keys: KeySet; readonly at: Moment } | undefined
  #flight: Promise<KeySet> | undefined
  #failure: { readonly at: Moment; readonly count: number; readonly error: Error } | undefined
  #lookedAt: Moment | undefined

  constructor(options: RemoteKeysOptions) {
    this.#options = options
  }

  current(): KeySet | Promise<KeySet> {
    const { refreshMs } = this.#options
    const held = this.#held
    const age = held ? this.#since(held.at) : Number.POSITIVE_INFINITY
    if (held && age < refreshMs * AHEAD) return held.keys
    if (held && (age < refreshMs || this.#failure)) return this.#ageing(held.keys, age)
    return this.#late(age)
  }

  renewed(): Promise<KeySet> | undefined {
    if (this.#flight) return this.#flight
    if (this.#lookedAt && this.#since(this.#lookedAt) < COOLDOWN_MS) return undefined
    this.#lookedAt = this.#now()
    return this.#fetch()
  }

  #ageing(keys: KeySet, age: number): KeySet | Promise<KeySet> {
    if (this.#mayFetch()) this.#fetch().catch(() => undefined)
    return age < this.#options.maxAgeMs ? keys : this.#late(age)
  }

  async #late(age: number): Promise<KeySet> {
    if (!this.#flight && !this.#mayFetch()) throw this.#failure?.error ?? new Error('no keys')
    try {
      return await this.#fetch()
    } catch (error) {
      if (this.#held && age < this.#options.maxAgeMs) return this.#held.keys
      throw error
    }
  }

  /** A failure is followed by a pause, doubled with each, in which nobody asks. */
  #mayFetch(): boolean {
    if (!this.#failure) return true
    const pause = Math.min(RETRY_MS.most, RETRY_MS.least * 2 ** (this.#failure.count - 1))
    return this.#since(this.#failure.at) >= pause
  }

  #fetch(): Promise<KeySet> {
    this.#flight ??= this.#fly().finally(() => {
      this.#flight = undefined
    })
    return this.#flight
  }

  async #fly(): Promise<KeySet> {
    const at = this.#now()
    try {
      const keys = await this.#options.fetch()
      this.#held = { keys, at }
      this.#failure = undefined
      return keys
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause))
      if (!this.#failure) this.#options.onFault(error.message)
      this.#failure = { at: this.#now(), count: (this.#failure?.count ?? 0) + 1, error }
      throw error
    }
  }

  #now(): Moment {
    const { clock } = this.#options
    return { wall: clock.now(), monotonic: clock.monotonic() }
  }

  /** The longer of two: one clock may be set back, the other stands still while the machine sleeps. */
  #since({ wall, monotonic }: Moment): number {
    const now = this.#now()
    return Math.max(now.wall - wall, now.monotonic - monotonic)
  }
}
