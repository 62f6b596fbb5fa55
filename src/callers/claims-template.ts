import type { Members } from './token.ts'

/** What may be the name of a caller that a proof has made. `/` tells it from those that the settings name. */
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._@/-]{0,254}[A-Za-z0-9_-])?$/
const LITERAL = /^[A-Za-z0-9._@/-]*$/
const PLACE = /\{([^{}]+)\}/g

/** A name made of claims. */
export interface NameTemplate {
  /** The name; undefined where a claim is missing, or is nothing that a name could be made of. Nothing is put right. */
  nameOf(claims: Members): string | undefined
  /** Whether there could be claims that make this name. */
  mayMake(name: string): boolean
}

/** What is wrong with a template, with the form to use; undefined when it is right. */
export function faultOfTemplate(template: string): string | undefined {
  const { literals, claims } = partsOf(template)
  if (claims.length === 0) return 'use a claim in it, as in "gh/{repository}"; for one fixed name leave it out'
  if (!literals.every((literal) => LITERAL.test(literal)))
    return 'use letters, digits, ".", "_", "@", "/" and "-" around the claims, each as {claim}'
  if (!literals.slice(1, -1).every((literal) => literal.includes('/')))
    return 'put a "/" between two claims: otherwise two tokens could make one name'
  return template.includes('/') ? undefined : 'put a "/" into it, as in "gh/{sub}": names without are those of settings'
}

/** Compiles a template that was found right. */
export function compileTemplate(template: string): NameTemplate {
  const { literals, claims } = partsOf(template)
  // Of two claims with a slash in them nobody could say where the first one ends.
  const values = claims.length === 1 ? /^[A-Za-z0-9._@/-]+$/ : /^[A-Za-z0-9._@-]+$/
  const shape = shapeOf(literals, claims.length === 1)
  return {
    nameOf(all) {
      const parts = claims.map((claim) => all.get(claim)).filter((part) => typeof part === 'string')
      if (parts.length < claims.length || !parts.every((part) => values.test(part))) return undefined
      const name = literals.map((literal, at) => literal + (parts[at] ?? '')).join('')
      return isMadeName(name) ? name : undefined
    },
    mayMake: (name) => isMadeName(name) && shape.test(name),
  }
}

/** Each segment is something: `a//b`, `a/../b` and `/a` read as other names somewhere. */
function isMadeName(name: string): boolean {
  return NAME.test(name) && name.includes('/') && !/(?:^|\/)\.{0,2}(?:\/|$)/.test(name)
}

function shapeOf(literals: readonly string[], isSingle: boolean): RegExp {
  const value = isSingle ? '[A-Za-z0-9._@/-]+' : '[A-Za-z0-9._@-]+'
  return new RegExp(`^${literals.map((literal) => literal.replaceAll('.', '\\.')).join(value)}$`)
}

/** One literal more than there are claims; some are empty. */
function partsOf(template: string): { readonly literals: readonly string[]; readonly claims: readonly string[] } {
  const claims = [...template.matchAll(PLACE)].map(([, claim = '']) => claim)
  return { literals: template.split(/\{[^{}]+\}/), claims }
}
