import type { Holder } from '../core/grants.ts'
import type { Rule } from '../core/rule.ts'

/**
 * What is suggested. `passed`: the least that lets through what was let through, in place of what is there. `refused`: what
 * lets through what was refused, or would have been but for report mode, beside what is there.
 */
export type Aim = 'passed' | 'refused'

/** Settings that what was asked needs. */
export interface Suggestion {
  readonly aim: Aim
  readonly allowlist: readonly string[]
  /** For hosts that no connection names; each injects nothing. */
  readonly connections: readonly SuggestedConnection[]
  readonly grants: readonly SuggestedGrant[]
  /** What of it is not there today, in words. */
  readonly missing: readonly string[]
  /** What could not be said in settings, in words. */
  readonly notes: readonly string[]
  /** Of callers that settings do not name: what grants it to them, for a shell. */
  readonly commands: readonly string[]
  /** How many asks it is made of, and from when to when; ISO 8601. */
  readonly asks: number
  readonly since: string | undefined
  readonly until: string | undefined
}

/** A connection without a credential. */
export interface SuggestedConnection {
  readonly name: string
  readonly host: string
  /** Undefined: the usual one. */
  readonly port: number | undefined
  /** Somebody had a tunnel to it that passed unopened, or asked for one. */
  readonly isTunnelled: boolean
}

/** A grant of a caller, or of a group that has it today. */
export type SuggestedGrant = Holder & {
  readonly connection: string
  /** Absent where a tunnel passed unopened: nobody can judge rules in it. */
  readonly rules: readonly Rule[] | undefined
  /** As that of today has it; ms since the epoch. */
  readonly until?: number | undefined
}
