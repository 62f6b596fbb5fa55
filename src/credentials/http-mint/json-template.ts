const PLACEHOLDER = /\$\$\{|\$\{([^}]*)\}?/g

/** The names of all placeholders in a JSON value: `a` of "x ${a} y". `$${` is no placeholder, but the text `${`. */
export function placeholdersIn(template: unknown): string[] {
  if (typeof template === 'string')
    return [...template.matchAll(PLACEHOLDER)].flatMap(([whole, name]) => (whole === '$${' ? [] : [name ?? '']))
  if (typeof template !== 'object' || template === null) return []
  return Object.values(template).flatMap(placeholdersIn)
}

/** The same value with each placeholder filled in. What is filled in stays within its text: it is made JSON behind this. */
export function fillIn(template: unknown, valueOf: (name: string) => string): unknown {
  if (typeof template === 'string')
    return template.replace(PLACEHOLDER, (whole, name: string) => (whole === '$${' ? '${' : valueOf(name)))
  if (Array.isArray(template)) return template.map((item) => fillIn(item, valueOf))
  if (typeof template !== 'object' || template === null) return template
  return Object.fromEntries(Object.entries(template).map(([key, value]) => [key, fillIn(value, valueOf)]))
}
