import { hasOneReading } from './path.ts'

/**
 * What a grant lets through. `methods`: exact tokens; absent means any. `paths`: patterns over the path sent upstream,
 * where `*` is one segment or a part of one, and `**` any number of segments; absent means any.
 */
export interface Rule {
  readonly methods?: readonly string[] | undefined
  readonly paths?: readonly string[] | undefined
}

export interface CompiledRule {
  matches(method: string, path: string): boolean
}

/** Compiles at load, so that a request only looks up. */
export function compileRule(rule: Rule): CompiledRule {
  const methods = rule.methods && new Set(rule.methods)
  const paths = rule.paths?.map((pattern) => pattern.split('/'))
  return {
    matches(method, path) {
      if (methods && !methods.has(method)) return false
      if (!paths) return true
      return hasOneReading(path) && matchesAny(paths, path.split('/'))
    },
  }
}

/** What is wrong with a path pattern, with the form to use; undefined when it is right. */
export function faultOfPath(pattern: string): string | undefined {
  if (!pattern.startsWith('/')) return `use "/${pattern}": a path starts with "/"`
  if (/[?#]/.test(pattern)) return 'use the path alone; a rule does not see the query'
  if (/[^!-~]/.test(pattern)) return 'use the path as it is sent, percent-encoded'
  const mixed = pattern.split('/').some((segment) => segment !== '**' && segment.includes('**'))
  if (mixed) return 'use "**" as a whole segment, as in "/v1/**"'
  if (!hasOneReading(pattern))
    return 'use a path without "//", ".", ".." or an encoded slash; servers disagree about those'
  return undefined
}

function matchesAny(patterns: readonly (readonly string[])[], segments: readonly string[]): boolean {
  return patterns.some((pattern) => glob(pattern, segments, (part) => part === '**', matchesSegment))
}

function matchesSegment(pattern: string, segment: string): boolean {
  if (!pattern.includes('*')) return pattern === segment
  // "/v1/contacts/*" asks for a contact: an empty segment is the collection itself.
  if (segment === '') return false
  return glob(
    Array.from(pattern),
    Array.from(segment),
    (char) => char === '*',
    (char, other) => char === other,
  )
}

/** Wildcard matching that only ever backtracks to the last star: time is at most pattern × input, on any input. */
function glob<T>(
  pattern: readonly T[],
  input: readonly T[],
  isStar: (part: T) => boolean,
  equals: (part: T, other: T) => boolean,
): boolean {
  let at = 0
  let starAt = -1
  let resumeAt = 0
  for (let index = 0; index < input.length; ) {
    const part = pattern[at]
    if (part !== undefined && isStar(part)) {
      starAt = at++
      resumeAt = index
    } else if (part !== undefined && equals(part, input[index] as T /* index < length */)) {
      at++
      index++
    } else if (starAt !== -1) {
      at = starAt + 1
      index = ++resumeAt
    } else return false
  }
  return pattern.slice(at).every(isStar)
}
