import type { Evidence } from '../core/ask.ts'
import type { z } from '../forms/zod.ts'
import type { References } from '../secrets/reference.ts'

/** `silent`: nothing shown that this method reads. `wrong`: a proof was shown, and it proves nobody. */
export type Finding = { readonly caller: string } | 'silent' | 'wrong'

/** One way to prove who asks. Called for every request, so it only looks up; it never waits. */
export interface CallerMethod {
  readonly kind: string
  identify(evidence: Evidence): Finding
}

/** Settings of one caller, with the name it goes by. */
export interface Named<S> {
  readonly name: string
  readonly settings: S
}

/** A kind of caller method: one instance serves all callers of its kind, so that it can index them. */
export interface CallerKind<S extends z.ZodObject> {
  readonly schema: S
  /** What is wrong with these callers taken together, by caller name, with the remedy. */
  faults?(callers: readonly Named<z.infer<S>>[]): readonly { readonly caller: string; readonly message: string }[]
  build(callers: readonly Named<z.infer<S>>[], references: References): CallerMethod
}
