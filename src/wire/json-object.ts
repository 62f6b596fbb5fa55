/**
 * The members of a JSON object, as an issuer sends it. Undefined: the text is something else, or not clear. A byte order
 * mark is not JSON (RFC 8259 section 8.1), and of a name given twice each reader takes another one (section 4): among its own
 * members, and with `isDeep` at any depth. A Map, so that a member called `__proto__` is a member and nothing else.
 */
export function parseJsonObject(
  text: string,
  { isDeep = false }: { readonly isDeep?: boolean } = {},
): ReadonlyMap<string, unknown> | undefined {
  const value = parse(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const members = new Map<string, unknown>(Object.entries(value))
  const isClear = isDeep ? countAll(value) === countMembers(text, Infinity) : members.size === countMembers(text, 1)
  return isClear ? members : undefined
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** In a value, at any depth. Not by recursion: what is sixty thousand deep would end that, and the process with it. */
function countAll(whole: object): number {
  const open: object[] = [whole]
  let members = 0
  for (let value = open.pop(); value; value = open.pop()) {
    const inner: unknown[] = Object.values(value)
    if (!Array.isArray(value)) members += inner.length
    for (const one of inner) if (typeof one === 'object' && one !== null) open.push(one)
  }
  return members
}

/** In a text that is known to be JSON: the colons outside of strings, so many levels deep. */
function countMembers(text: string, levels: number): number {
  let depth = 0
  let members = 0
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}:]/g)) {
    if (token === '{' || token === '[') depth += 1
    else if (token === '}' || token === ']') depth -= 1
    else if (token === ':' && depth <= levels) members += 1
  }
  return members
}
