import { hasOneReading } from '../core/path.ts'

const NUMBER = /^[0-9]+$/
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
/** Digests, object ids of databases, ULIDs and their kin have digits in them; a long word has not. */
const LONG_ID = /^(?=.*[0-9])[0-9A-Za-z_-]{16,}$/

/** Of an API hardly any has a third of it; callers make up paths of thousands, and gathering those would stop everything. */
const DEEPEST = 32
const ANY_DEPTH = '**'

/**
 * A path with `*` for what looks like an id: a number, a UUID, a long run with digits in it; with `**` for what is
 * too deep. As a pattern it matches that path. Undefined: servers read the path in more than one way, so no pattern can match it.
 */
export function shapeOf(path: string): string | undefined {
  if (!path.startsWith('/') || !hasOneReading(path)) return undefined
  const segments = path.split('/').map((segment) => (isId(segment) ? '*' : segment))
  return (segments.length > DEEPEST ? [...segments.slice(0, DEEPEST), ANY_DEPTH] : segments).join('/')
}

/** A star in a path is one in a pattern, too, where it would mean more. */
function isId(segment: string): boolean {
  return NUMBER.test(segment) || UUID.test(segment) || LONG_ID.test(segment) || segment.includes('*')
}

/** How many siblings are named one by one; more of them are likely to be names of things. */
const SIBLINGS_AT_MOST = 8

/** Fewer patterns that match at least the same: where many differ in one segment alone, that segment becomes `*`. */
export function gather(shapes: Iterable<string>): readonly string[] {
  let all = [...new Set(shapes)].map((shape) => shape.split('/'))
  const deepest = Math.max(0, ...all.map(({ length }) => length))
  for (let at = 1; at < deepest; at++) all = gatherAt(at, all)
  return [...new Set(all.map((segments) => segments.join('/')))].toSorted()
}

function gatherAt(at: number, all: readonly (readonly string[])[]): string[][] {
  const open = (segments: readonly string[]) =>
    segments.map((segment, index) => (index === at && segment !== '' && segment !== ANY_DEPTH ? '*' : segment))
  const groups = Map.groupBy(all, (segments) => open(segments).join('/'))
  return [...groups.values()].flatMap((group) =>
    new Set(group.map((segments) => segments[at])).size > SIBLINGS_AT_MOST
      ? group.map(open)
      : group.map((segments) => [...segments]),
  )
}
