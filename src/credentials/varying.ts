import type { Purpose } from '../core/purpose.ts'
import type { Credential, Supply, SupplyState } from './credential.ts'
import { KeyedSupply } from './keyed.ts'

/** Something by which the credential of one ask may be another one than that of the next. */
export interface Part {
  /** Whether it depends on who asks. Not asked before the first ask or look: it may be another connection that says so. */
  isPerCaller(): boolean
  /** Asks with the same text have the same; undefined where everybody has. @throws Problem why there is none */
  keyOf(purpose: Purpose): string | undefined
}

/** One credential for all where no part differs from caller to caller, else one for each combination of them. */
export class VaryingSupply implements Supply {
  readonly #parts: readonly Part[]
  readonly #make: () => Supply
  #made: Supply | undefined

  constructor(parts: readonly Part[], make: () => Supply) {
    this.#parts = parts
    this.#make = make
  }

  obtain(purpose?: Purpose): Credential | undefined | Promise<Credential> {
    return this.#supply().obtain(purpose)
  }

  rejected(credential: Credential, purpose?: Purpose): Promise<Credential | undefined> {
    return this.#supply().rejected(credential, purpose)
  }

  state(): SupplyState {
    return this.#supply().state()
  }

  states(): readonly SupplyState[] {
    const supply = this.#supply()
    return supply.states?.() ?? [supply.state()]
  }

  keyOf(purpose: Purpose): string | undefined {
    return this.#supply().keyOf?.(purpose)
  }

  #supply(): Supply {
    this.#made ??= this.#parts.some((part) => part.isPerCaller()) ? this.#keyed() : this.#make()
    return this.#made
  }

  #keyed(): Supply {
    return new KeyedSupply({
      // As JSON, two parts never run into one another, and none is taken for a text.
      keyOf: (purpose) => JSON.stringify(this.#parts.map((part) => part.keyOf(purpose) ?? null)),
      supplyFor: () => this.#make(),
    })
  }
}
