import type { Allowance, Ceiling } from '../core/ceiling.ts'
import { compileRule } from '../core/rule.ts'
import { methods, paths } from '../forms/rule.ts'
import { z } from '../forms/zod.ts'
import { namesIn } from './claims-groups.ts'
import type { Members } from './token.ts'

const reach = z.strictObject({
  connections: z
    .array(z.string())
    .min(1, 'name at least one connection, or leave connections out for all')
    .optional()
    .meta({ description: 'connections it reaches; absent: all' }),
  methods,
  paths: paths.meta({ description: 'paths as in the rules of a grant; absent: any' }),
})

/** What each scope of a token lets it ask for. */
export const scopeRules = z.record(z.string().regex(/^[!#-[\]-~]+$/, 'use a scope as RFC 6749 has it'), reach)

/** Scopes as the settings say them. */
export type ScopeRules = z.infer<typeof scopeRules>

/** Makes the ceiling of a token of the scopes it names. */
export type CeilingOf = (scopes: readonly string[]) => Ceiling

/** Compiles scopes. What a token names and the settings do not means nothing. */
export function compileScopes(rules: ScopeRules): CeilingOf {
  const known = new Map(Object.entries(rules).map(([scope, rule]) => [scope, allowanceOf(rule)]))
  return (scopes) => {
    const named = [...new Set(scopes)].filter((scope) => known.has(scope))
    return { scopes: named, parts: named.flatMap((scope) => known.get(scope) ?? []) }
  }
}

function allowanceOf({ connections, methods, paths }: ScopeRules[string]): Allowance {
  return {
    connections: connections && new Set(connections),
    rule: methods || paths ? compileRule({ methods, paths }) : undefined,
  }
}

/**
 * The scopes of a token: `scope` or, as some issuers have it, `scp`; a text or a list. What is neither names none.
 * @see RFC 8693 section 4.2, RFC 9068 section 2.2.3
 */
export function scopesIn(claims: Members): readonly string[] {
  return [...(namesIn(claims.get('scope')) ?? []), ...(namesIn(claims.get('scp')) ?? [])]
}
