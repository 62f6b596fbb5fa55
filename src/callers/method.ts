import type { Caller, Evidence } from '../core/ask.ts'
import type { Clock } from '../core/clock.ts'
import type { ProblemCode } from '../core/problem.ts'
import type { Dialled } from '../forms/kind.ts'
import type { z } from '../forms/zod.ts'
import type { References } from '../secrets/reference.ts'
import type { Dialer } from '../wire/dial.ts'

/**
 * What a method makes of the evidence. `silent`: nothing shown that it reads. `wrong`: a proof was shown that proves
 * nobody; as an object where there is a code other than `caller-unknown`, and a reason in words for the record alone.
 */
export type Finding = Proved | 'silent' | 'wrong' | Wrong

/** A caller by name, and what else its proof says of it. */
export interface Proved extends Pick<Caller, 'groups' | 'details' | 'scopes' | 'token'> {
  readonly caller: string
  /** The caller of the settings whose template made the name; absent where the name is one of the settings. */
  readonly madeBy?: string
}

/** A proof with something against it. `isOurs`: it could not be judged, so that it does not count as a failure. */
export interface Wrong {
  readonly wrong: ProblemCode
  readonly reason: string
  readonly isOurs?: true
  readonly caller?: undefined
}

/** How much judging a proof may cost. `known`: its peer has failed so often that nothing new is looked into. */
export type Effort = 'any' | 'known'

/** One way to prove who asks. Called for every request: what can be looked up is answered at once, the rest in time. */
export interface CallerMethod {
  readonly kind: string
  identify(evidence: Evidence, effort?: Effort): Finding | Promise<Finding>
  /** Of a kind whose proof may also be where the caller stands: asked once nothing that was shown has proved anybody. */
  stand?(evidence: Evidence): Finding | Promise<Finding>
}

/** Settings of one caller, with the name it goes by. */
export interface Named<S> {
  readonly name: string
  readonly settings: S
}

/** What every kind of caller method is built with. */
export interface CallerTools {
  readonly references: References
  readonly clock: Clock
  /** The way to whoever vouches for a caller: an issuer of tokens, a cluster. */
  readonly dialer: Dialer
  /** Told, in words for the operator, what keeps proofs from being judged. Holds no secret. Must not throw. */
  onFault(message: string): void
}

/** A kind of caller method: one instance serves all callers of its kind, so that it can index them. */
export interface CallerKind<S extends z.ZodObject> {
  readonly schema: S
  /** Where its proofs are: what is shown with a request, or where the caller stands. The first beats the second. */
  readonly proofIs: 'shown' | 'place'
  /** Its proofs may be tokens: one that none of these kinds knows is a token of an issuer nobody has named. */
  readonly readsTokens?: true
  /** Its proofs are looked up, so that they can be asked about again as long as what they began goes on. */
  readonly isAskedAgain?: true
  /** Who vouches for the names that proofs of this caller make; undefined where its name is the one of the settings. */
  nameMaker?(settings: z.infer<S>): string | undefined
  /** Whether its proofs could make a caller of this name. */
  mayName?(name: string, settings: z.infer<S>): boolean
  /** What is wrong with these callers taken together, by caller name, with the remedy. */
  faults?(callers: readonly Named<z.infer<S>>[]): readonly { readonly caller: string; readonly message: string }[]
  /** Servers that it asks about proofs of this caller, or for the keys to judge them by. */
  dials?(settings: z.infer<S>): Dialled
  build(callers: readonly Named<z.infer<S>>[], tools: CallerTools): CallerMethod
}
