import { Problem } from '../core/problem.ts'
import type { Purpose } from '../core/purpose.ts'
import type { Secret } from '../core/secret.ts'
import type { MintedSupply } from './cache.ts'
import type { Credential, Supply, SupplyState } from './credential.ts'

/** What tokens rest on that may be taken back at any time. */
export interface Footing {
  /** Another text whenever what was got before counts no more. Asked for each ask, so it must be quick. */
  mark(): string
  /** Why nobody need be asked at all, where that is so. */
  missing?(): Problem | undefined
  /** A failure as it is told to whoever asks. */
  tell?(problem: Problem, purpose: Purpose | undefined): Problem
}

/** A supply that forgets its token, and its failures, when what they rest on is another, or is gone. */
export class ForgetfulSupply implements Supply {
  readonly #supply: MintedSupply
  readonly #footing: Footing
  #mark: string
  /** What was held when it was forgotten. */
  #left: Secret | undefined

  constructor(supply: MintedSupply, footing: Footing) {
    this.#supply = supply
    this.#footing = footing
    this.#mark = footing.mark()
  }

  obtain(purpose?: Purpose): Credential | Promise<Credential> {
    this.#look()
    const missing = this.#footing.missing?.()
    if (missing) return Promise.reject(this.#told(missing, purpose))
    const found = this.#supply.obtain(purpose)
    return found instanceof Promise ? found.catch((error) => this.#fail(error, purpose)) : found
  }

  async rejected(credential: Credential, purpose?: Purpose): Promise<Credential | undefined> {
    this.#look()
    return this.#footing.missing?.() ? undefined : this.#supply.rejected(credential, purpose)
  }

  state(): SupplyState {
    this.#look()
    return this.#supply.state()
  }

  /** The token that is given out, or was when what it rested on was taken back: good at its issuer until it ends there. */
  held(): Secret | undefined {
    return this.#supply.held() ?? this.#left
  }

  #look(): void {
    const mark = this.#footing.mark()
    if (mark === this.#mark) return
    this.#mark = mark
    this.#left = this.#supply.held()
    this.#supply.forget()
  }

  #fail(error: unknown, purpose: Purpose | undefined): never {
    throw error instanceof Problem ? this.#told(error, purpose) : error
  }

  #told(problem: Problem, purpose: Purpose | undefined): Problem {
    return this.#footing.tell?.(problem, purpose) ?? problem
  }
}
