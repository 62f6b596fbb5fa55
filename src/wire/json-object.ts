/**
 * The members of a JSON object, as an issuer sends it. Undefined: the text is something else, or not clear. A byte order
 * mark is not JSON (RFC 8259 section 8.1), and of a name given twice each reader takes another one (section 4).
 * A Map, so that a member called `__proto__` is a member and nothing else.
 */
export function parseJsonObject(text: string): ReadonlyMap<string, unknown> | undefined {
  const value = parse(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const members = new Map<string, unknown>(Object.entries(value))
  return members.size === countMembers(text) ? members : undefined
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** In a text that is known to be JSON: the colons outside of strings, one level deep. */
function countMembers(text: string): number {
  let depth = 0
  let members = 0
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}:]/g)) {
    if (token === '{' || token === '[') depth += 1
    else if (token === '}' || token === ']') depth -= 1
    else if (token === ':' && depth === 1) members += 1
  }
  return members
}
