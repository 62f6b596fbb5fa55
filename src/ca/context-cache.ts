import type { SecureContext } from 'node:tls'

/** A context, and from when until when it may be presented: ms since the epoch. */
export interface Context {
  readonly secure: SecureContext
  readonly from: number
  readonly until: number
}

interface Parts {
  readonly limit: number
  readonly now: () => number
  readonly make: (host: string) => Promise<Context>
}

/** The contexts of the hosts asked for last. One is 28 KiB of memory, and under a wildcard an app may ask for any number. */
export class ContextCache {
  readonly #parts: Parts
  /** The one that was asked for longest ago comes first. */
  readonly #made = new Map<string, Context>()
  readonly #making = new Map<string, Promise<Context>>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Made once for all who ask meanwhile; a failure is not kept. */
  async get(host: string): Promise<SecureContext> {
    const known = this.#made.get(host)
    const { secure } = known && this.#isFit(known) ? this.#keep(host, known) : await this.#make(host)
    return secure
  }

  /** Also a clock that was set back makes one unfit. */
  #isFit({ from, until }: Context): boolean {
    const now = this.#parts.now()
    return from <= now && now < until
  }

  #make(host: string): Promise<Context> {
    const making =
      this.#making.get(host) ??
      this.#parts
        .make(host)
        .then((context) => this.#keep(host, context))
        .finally(() => this.#making.delete(host))
    this.#making.set(host, making)
    return making
  }

  #keep(host: string, context: Context): Context {
    this.#made.delete(host)
    this.#made.set(host, context)
    for (const oldest of this.#made.keys()) {
      if (this.#made.size <= this.#parts.limit) break
      this.#made.delete(oldest)
    }
    return context
  }
}
