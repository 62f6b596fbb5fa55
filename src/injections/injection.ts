import type { Fields } from '../core/ask.ts'
import type { Secret } from '../core/secret.ts'
import type { DpopKey } from '../oauth/dpop.ts'

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
  /** The key that it is bound to, which makes the proofs that have to go with it. */
  readonly boundTo?: DpopKey | undefined
}

/** A request on its way out, as an injection sees it: every slot is empty. */
export interface Outgoing {
  readonly fields: readonly string[]
  /** "" or with its "?". */
  readonly query: string
  readonly method: string
  /** Where it goes, as it is sent: scheme, authority and path, without the query. */
  readonly url: string
  /** What the caller had put into a slot before it was emptied. */
  found(slot: Slot): readonly string[]
}

/** What becomes of it: fresh lists, or the same where nothing was changed. */
export type Injected = Pick<Outgoing, 'fields' | 'query'>

/**
 * How a credential enters a request. Does no I/O, and is pure but for proofs, each of which is new: the slots have been emptied before, and the credential comes into each exactly
 * once.
 * @throws Problem `credential-failed` when the value cannot stand in its place
 */
export interface Injection {
  readonly slots: readonly Slot[]
  /** Where the credential goes into the body: that is then held whole. Absent for all others, whose bodies nobody reads. */
  readonly body?: BodyInjection
  inject(outgoing: Outgoing, credential: Spendable): Injected
}

/** How a credential enters a body. Every method throws the Problem that refuses the request. */
export interface BodyInjection {
  /** That are held; a longer body is refused. */
  readonly maxBytes: number
  /** Asked before anything of the body is read. */
  judgeHead(fields: Fields): void
  /** Asked before a credential is obtained. */
  judge(body: Buffer): void
  /** The body as it goes upstream. @throws Problem `credential-failed` when the value cannot stand in its place */
  fill(body: Buffer, credential: Spendable): Buffer
}
