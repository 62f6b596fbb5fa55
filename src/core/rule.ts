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
  const paths = rule.paths?.map(compilePath)
  return {
    matches(method, path) {
      if (methods && !methods.has(method)) return false
      if (!paths) return true
      return paths.some(({ prefix, matches }) => path.startsWith(prefix) && matchesRead(path, matches))
    },
  }
}

/** Several rules as one: what any of them lets through. */
export function compileAnyOf(rules: readonly Rule[]): CompiledRule {
  const compiled = rules.map(compileRule)
  return { matches: (method, path) => compiled.some((rule) => rule.matches(method, path)) }
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

let latest: { readonly path: string; readonly segments: readonly string[] | undefined } = {
  path: '',
  segments: undefined,
}

/** Undefined where servers may read it differently. Many rules are asked about one path, one after the other. */
function segmentsOf(path: string): readonly string[] | undefined {
  if (latest.path !== path) latest = { path, segments: hasOneReading(path) ? path.split('/') : undefined }
  return latest.segments
}

function matchesRead(path: string, matches: PathMatcher): boolean {
  const segments = segmentsOf(path)
  return segments !== undefined && matches(segments)
}

type PathMatcher = (segments: readonly string[]) => boolean
/** Of one segment; `ANY_DEPTH`: of any number of them. */
type SegmentMatcher = (segment: string) => boolean

const ANY_DEPTH: SegmentMatcher = () => true

interface CompiledPath {
  /** What every path that matches starts with: most paths are told from most patterns by it. */
  readonly prefix: string
  readonly matches: PathMatcher
}

function compilePath(pattern: string): CompiledPath {
  const matchers = pattern.split('/').map(compileSegment)
  const [literal = ''] = pattern.split('*', 1)
  // "/v1/**" is "/v1", too.
  const prefix = pattern.startsWith('**', literal.length) ? literal.replace(/\/$/, '') : literal
  return { prefix, matches: matchers.includes(ANY_DEPTH) ? atAnyDepth(matchers) : segmentBySegment(matchers) }
}

function atAnyDepth(matchers: readonly SegmentMatcher[]): PathMatcher {
  return (segments) =>
    glob(
      matchers,
      segments,
      (matcher) => matcher === ANY_DEPTH,
      (matches, segment) => matches(segment),
    )
}

function segmentBySegment(matchers: readonly SegmentMatcher[]): PathMatcher {
  return (segments) =>
    segments.length === matchers.length && matchers.every((matches, at) => matches(segments[at] ?? ''))
}

function compileSegment(pattern: string): SegmentMatcher {
  if (pattern === '**') return ANY_DEPTH
  if (!pattern.includes('*')) return (segment) => segment === pattern
  // "/v1/contacts/*" asks for a contact: an empty segment is the collection itself.
  if (pattern === '*') return (segment) => segment !== ''
  const parts = Array.from(pattern)
  return (segment) =>
    segment !== '' &&
    glob(
      parts,
      Array.from(segment),
      (char) => char === '*',
      (char, other) => char === other,
    )
}

/** Wildcard matching that only ever backtracks to the last star: time is at most pattern × input, on any input. */
function glob<P, T>(
  pattern: readonly P[],
  input: readonly T[],
  isStar: (part: P) => boolean,
  equals: (part: P, other: T) => boolean,
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
