import { Problem } from '../core/problem.ts'
import type { Purpose } from '../core/purpose.ts'
import type { Credential, Supply, SupplyState } from './credential.ts'

/** What a supply that does not give everybody the same is made of. */
export interface Keying {
  /**
   * Who shares a credential with whom: asks with the same text do. Called for each ask.
   * @throws Problem why there can be none for this one
   */
  keyOf(purpose: Purpose): string
  /** The supply behind one key; what it mints is minted for whoever asks. */
  supplyFor(key: string): Supply
}

/** Kept at once. Whoever was longest without an ask goes first, and is minted for anew. */
const MAX_KEYS = 10_000

/** One supply for each key: no two of them ever share a credential. */
export class KeyedSupply implements Supply {
  readonly #keying: Keying
  readonly #supplies = new Map<string, Supply>()

  constructor(keying: Keying) {
    this.#keying = keying
  }

  obtain(purpose?: Purpose): Credential | undefined | Promise<Credential> {
    if (!purpose) return Promise.reject(new Problem('credential-failed', { reason: FOR_NOBODY }))
    try {
      return this.#supplyFor(purpose).obtain(purpose)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async rejected(credential: Credential, purpose?: Purpose): Promise<Credential | undefined> {
    try {
      return purpose && (await this.#supplyFor(purpose).rejected(credential, purpose))
    } catch {
      return undefined
    }
  }

  /** Of whoever asked last. */
  state(): SupplyState {
    const last = [...this.#supplies.values()].at(-1)?.state() ?? { phase: 'absent' }
    return { ...last, separate: this.#supplies.size }
  }

  keyOf(purpose: Purpose): string {
    return this.#keying.keyOf(purpose)
  }

  #supplyFor(purpose: Purpose): Supply {
    const key = this.#keying.keyOf(purpose)
    const supply = this.#supplies.get(key) ?? this.#keying.supplyFor(key)
    this.#supplies.delete(key)
    this.#supplies.set(key, supply)
    if (this.#supplies.size > MAX_KEYS) this.#forgetOldest()
    return supply
  }

  #forgetOldest(): void {
    const [oldest] = this.#supplies.keys()
    if (oldest !== undefined) this.#supplies.delete(oldest)
  }
}

const FOR_NOBODY = 'each caller has a credential of its own here, and nobody asks'
