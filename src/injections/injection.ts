import type { Secret } from '../core/secret.ts'

/** The place in a request that an injection owns: whatever the caller put there is taken out first. */
export type Slot =
  | {
      readonly in: 'header'
      readonly name: string /** Text before the credential, such as "Bearer ". */
      readonly prefix: string
    }
  | { readonly in: 'query'; readonly name: string }

/** What an injection is given to spend. */
export interface Spendable {
  readonly secret: Secret
  readonly user?: string | undefined
}

/** A request on its way out, as an injection sees it. A fresh list and a fresh query; both may be returned changed. */
export interface Outgoing {
  readonly fields: readonly string[]
  readonly query: string
}

/**
 * How a credential enters a request. Pure: the slot has been emptied before, and the credential comes in exactly once.
 * @throws Problem `credential-failed` when the value cannot stand in its place
 */
export interface Injection {
  readonly slot: Slot
  inject(outgoing: Outgoing, credential: Spendable): Outgoing
}
