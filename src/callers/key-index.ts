import { timingSafeEqual } from 'node:crypto'
import type { PresentedKey } from '../core/ask.ts'

/** One key of a caller. */
export interface KeyEntry {
  readonly caller: string
  /** SHA-256 of the key. */
  readonly digest: Buffer
}

/**
 * Keys by digest, so that a thousand of them cost no more than one. What the look-up gives away of itself is about digests,
 * from which there is no way back to a key; the one that was found is compared in constant time nevertheless.
 */
export class KeyIndex<E extends KeyEntry> {
  readonly #byDigest: ReadonlyMap<string, readonly E[]>

  constructor(entries: readonly E[]) {
    this.#byDigest = Map.groupBy(entries, ({ digest }) => digest.toString('latin1'))
  }

  /** With a name, that caller's key and no other. Two callers with one key: whichever was named would be a guess. */
  find({ key, caller }: PresentedKey): E | undefined {
    const digest = key.digest()
    const same = this.#byDigest.get(digest.toString('latin1'))
    if (!same) return undefined
    const fit = same.filter((one) => (caller ?? one.caller) === one.caller && timingSafeEqual(one.digest, digest))
    const [first, other] = fit
    return other === undefined || other.caller === first?.caller ? first : undefined
  }
}
