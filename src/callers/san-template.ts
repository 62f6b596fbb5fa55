/** What may be the name of a caller that a certificate or an SVID has made. `/` tells it from those that settings name. */
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._@/-]{0,254}[A-Za-z0-9_-])?$/
const LITERAL = /^[A-Za-z0-9._@/-]*$/
const FIELD = /\{([^{}]*)\}/g

/** What may stand in a template, by field: the pattern of its values. */
export type TemplateFields = Readonly<Record<string, RegExp>>

/** A name made of what a proof says. */
export interface SanTemplate {
  readonly fields: readonly string[]
  /** The name; undefined where a value is none that a name could be made of. Nothing is put right. */
  nameOf(values: Readonly<Record<string, string | undefined>>): string | undefined
  /** Whether there could be values that make this name. */
  mayMake(name: string): boolean
}

/** What is wrong with a template, with the form to use; undefined when it is right. */
export function faultOfSanTemplate(template: string, known: TemplateFields): string | undefined {
  const { literals, fields } = partsOf(template)
  const names = Object.keys(known).map((field) => `{${field}}`)
  if (fields.length === 0 || !fields.every((field) => Object.hasOwn(known, field)))
    return `use ${names.join(' or ')} in it, and nothing else in braces`
  if (!literals.every((literal) => LITERAL.test(literal)))
    return `use letters, digits, ".", "_", "@", "/" and "-" around ${names.join(' and ')}`
  if (!literals.slice(1, -1).every((literal) => literal.includes('/')))
    return 'put a "/" between the two: otherwise two proofs could make one name'
  return template.includes('/')
    ? undefined
    : `put a "/" into it, as in "mesh/${names[0]}": names without are those of settings`
}

/** Compiles a template that was found right. */
export function compileSanTemplate(template: string, known: TemplateFields): SanTemplate {
  const { literals, fields } = partsOf(template)
  const patterns = fields.map((field) => known[field]?.source ?? '(?!)')
  const shape = new RegExp(`^${literals.map((one, at) => escape(one) + (patterns[at] ?? '')).join('')}$`)
  const isMade = (name: string) => NAME.test(name) && hasPlainSegments(name) && shape.test(name)
  return {
    fields,
    nameOf(values) {
      const parts = fields.map((field) => values[field])
      if (!parts.every((part, at) => part !== undefined && whole(patterns[at] ?? '').test(part))) return undefined
      const name = literals.map((literal, at) => `${literal}${parts[at] ?? ''}`).join('')
      return isMade(name) ? name : undefined
    },
    mayMake: isMade,
  }
}

/** Each segment is something: `a//b`, `a/../b` and `/a` read as other names somewhere. */
function hasPlainSegments(name: string): boolean {
  return name.includes('/') && !/(?:^|\/)\.{0,2}(?:\/|$)/.test(name)
}

function whole(pattern: string): RegExp {
  return new RegExp(`^(?:${pattern})$`)
}

function escape(literal: string): string {
  return literal.replaceAll('.', '\\.')
}

/** One literal more than there are fields; some are empty. */
function partsOf(template: string): { readonly literals: readonly string[]; readonly fields: readonly string[] } {
  return {
    literals: template.split(/\{[^{}]*\}/),
    fields: [...template.matchAll(FIELD)].map(([, field = '']) => field),
  }
}
