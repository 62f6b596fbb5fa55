import { Problem } from '../core/problem.ts'
import type { Purpose } from '../core/purpose.ts'
import type { Credential, Supply, SupplyState } from './credential.ts'

/** What a supply that does not give everybody the same is made of. */
export interface Keying<S extends Supply = Supply> {
  /**
   * Who shares a credential with whom: asks with the same text do. Called for each ask.
   * @throws Problem why there can be none for this one
   */
  keyOf(purpose: Purpose): string
  /** The supply behind one key; what it mints is minted for whoever asks. */
  supplyFor(key: string): S
}

/**
 * Kept at once. Of the caller that has most of them, the one that was longest without an ask goes first, and is minted for
 * anew: one that shows a new token with each ask, or names a new repository, takes nothing from others.
 */
const MAX_KEYS = 10_000

interface Kept<S> {
  readonly supply: S
  /** Who asked for it first. */
  readonly caller: string
}

/** One supply for each key: no two of them ever share a credential. */
export class KeyedSupply<S extends Supply = Supply> implements Supply {
  readonly #keying: Keying<S>
  readonly #supplies = new Map<string, Kept<S>>()
  /** How many of them each caller has. */
  readonly #counts = new Map<string, number>()

  constructor(keying: Keying<S>) {
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
    const last = [...this.#supplies.values()].at(-1)?.supply.state() ?? { phase: 'absent' }
    return { ...last, separate: this.#supplies.size }
  }

  states(): readonly SupplyState[] {
    return [...this.#supplies.values()].map(({ supply }) => supply.state())
  }

  keyOf(purpose: Purpose): string {
    return this.#keying.keyOf(purpose)
  }

  /** The supply behind one key, where somebody has asked for it. */
  at(key: string): S | undefined {
    return this.#supplies.get(key)?.supply
  }

  #supplyFor(purpose: Purpose): S {
    const key = this.#keying.keyOf(purpose)
    const kept = this.#supplies.get(key) ?? this.#begin(key, purpose.caller.name)
    this.#supplies.delete(key)
    this.#supplies.set(key, kept)
    if (this.#supplies.size > MAX_KEYS) this.#forgetOne()
    return kept.supply
  }

  #begin(key: string, caller: string): Kept<S> {
    this.#counts.set(caller, (this.#counts.get(caller) ?? 0) + 1)
    return { supply: this.#keying.supplyFor(key), caller }
  }

  #forgetOne(): void {
    let [most, count] = ['', 0]
    for (const [caller, its] of this.#counts) if (its > count) [most, count] = [caller, its]
    for (const [key, { caller }] of this.#supplies) {
      if (caller !== most) continue
      this.#supplies.delete(key)
      break
    }
    if (count > 1) this.#counts.set(most, count - 1)
    else this.#counts.delete(most)
  }
}

const FOR_NOBODY = 'each caller has a credential of its own here, and nobody asks'
