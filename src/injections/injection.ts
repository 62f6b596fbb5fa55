import type { Secret } from '../core/secret.ts'

/** The place in a request that an injection owns: whatever the caller put there is taken out first. */
export type Slot = (
  | {
      readonly in: 'header'
      readonly name: string
      /** Text before the credential, such as "Bearer ". */
      readonly prefix: string
    }
  | { readonly in: 'query'; readonly name: string }
  | { readonly in: 'cookie'; readonly name: string }
) & {
  /** No app puts the upstream's own key there, so nobody looks for the key of a caller in it. */
  readonly keyless?: true
}

/** What an injection is given to spend. */
export interface Spendable {
  readonly secret: Secret
  readonly user?: string | undefined
}

/** A request on its way out, as an injection sees it: every slot is empty. */
export interface Outgoing {
  readonly fields: readonly string[]
  /** "" or with its "?". */
  readonly query: string
}

/** What becomes of it: fresh lists, or the same where nothing was changed. */
export type Injected = Pick<Outgoing, 'fields' | 'query'>

/**
 * How a credential enters a request. Pure: the slots have been emptied before, and the credential comes into each exactly
 * once.
 * @throws Problem `credential-failed` when the value cannot stand in its place
 */
export interface Injection {
  readonly slots: readonly Slot[]
  inject(outgoing: Outgoing, credential: Spendable): Injected
}
