import { misplaced, replaceOnce } from './placeholder-text.ts'

/** The media types that hold JSON. */
export const JSON_TYPE = /^application\/(?:[a-z0-9.-]+\+)?json$/

/**
 * JSON with the credential for the placeholder, in the string that the pointer names. The rest stays as it was written,
 * letter by letter: numbers that no double holds, the order of members, blanks.
 * @throws Problem `placeholder-misplaced` unless it is there, and nowhere else
 * @see RFC 6901
 */
export function replaceInJson(text: string, pointer: string, placeholder: string, credential: string): string {
  const value = parse(text)
  const found = valueAt(value, pointer)
  if (typeof found !== 'string') throw misplaced('it is not in its place')
  const wanted = replaceOnce(found, placeholder, credential)
  if (countIn(value, placeholder) > 1) throw misplaced('it is in other places, too')
  const replaced = replaceOnce(text, placeholder, JSON.stringify(credential).slice(1, -1))
  // A member that is there twice, or a placeholder that is written with escapes, may have led elsewhere.
  if (valueAt(parse(replaced), pointer) !== wanted) throw misplaced('its place can be read in two ways')
  return replaced
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw misplaced('the body is not JSON')
  }
}

function valueAt(value: unknown, pointer: string): unknown {
  let at = value
  for (const step of pointer.split('/').slice(1)) {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined
    if (Array.isArray(at) && !/^(?:0|[1-9][0-9]*)$/.test(name)) return undefined
    // An own member, as was just asked.
    at = (at as Readonly<Record<string, unknown>>)[name]
  }
  return at
}

/** In names and in strings. Without recursion: a body may be nested as deep as it is long. */
function countIn(value: unknown, placeholder: string): number {
  const waiting: unknown[] = [value]
  let count = 0
  while (waiting.length > 0) {
    const each = waiting.pop()
    if (typeof each === 'string') count += each.split(placeholder).length - 1
    else if (Array.isArray(each)) for (const item of each) waiting.push(item)
    else if (typeof each === 'object' && each !== null)
      for (const [name, item] of Object.entries(each)) waiting.push(name, item)
  }
  return count
}
