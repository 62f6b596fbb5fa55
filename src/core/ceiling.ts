import type { CompiledRule } from './rule.ts'

/**
 * How far a proof reaches at most, whatever its caller was granted: a scope is a ceiling, a grant a permission, and either
 * refuses alone. A request has to be within one of its parts.
 */
export interface Ceiling {
  /** The scopes that the proof names and that mean something here, for the record. */
  readonly scopes: readonly string[]
  readonly parts: readonly Allowance[]
}

/** What one scope lets its holder ask for. */
export interface Allowance {
  /** Absent: every connection. */
  readonly connections: ReadonlySet<string> | undefined
  /** Absent: every method and path. */
  readonly rule: CompiledRule | undefined
}

/** Whether a request stays below the ceiling. No ceiling: it does. */
export function isBelowCeiling(
  ceiling: Ceiling | undefined,
  { connection, method, path }: { readonly connection: string; readonly method: string; readonly path: string },
): boolean {
  return (
    !ceiling || ceiling.parts.some((part) => reaches(part, connection) && part.rule?.matches(method, path) !== false)
  )
}

/**
 * Whether a tunnel stays below it. Each request in one that is opened is judged by itself; of one that passes unread
 * nobody could judge methods and paths, so that all of them have to be allowed.
 */
export function isTunnelBelowCeiling(
  ceiling: Ceiling | undefined,
  { connection, isUnread }: { readonly connection: string; readonly isUnread: boolean },
): boolean {
  return !ceiling || ceiling.parts.some((part) => reaches(part, connection) && !(isUnread && part.rule))
}

function reaches({ connections }: Allowance, connection: string): boolean {
  return connections?.has(connection) !== false
}

/** What the scopes of a proof were, in words. */
export function ceilingText({ scopes }: Ceiling): string {
  return scopes.length === 0 ? 'no scope that means anything here' : `scope ${scopes.join(' ')}`
}
