import type { AuditKeys, AuditLine } from '../core/audit-line.ts'

/** Rows of the store, as far as they are walked through here. */
export interface WalkedRows {
  /** The lines behind that one, by instance, run and `seq`; from the first without it. */
  walk(after: Pick<AuditLine, 'instance' | 'run' | 'seq'> | undefined, limit: number): Promise<readonly AuditLine[]>
}

/**
 * All rows, in the order in which `verifyAudit` reads them, so many at once. Ends at a part that is not full: lines may come
 * faster than somebody slow takes the last ones. The first part is there even if it is empty.
 */
export async function* partsOf(rows: WalkedRows, size: number): AsyncGenerator<readonly AuditLine[], undefined> {
  let part: readonly AuditLine[] = []
  do {
    part = await rows.walk(part.at(-1), size)
    yield part
  } while (part.length === size)
}

/** Rows of the store, as far as they are searched here. */
export interface SearchedRows {
  find(filter: Search & { readonly limit: number; readonly cursor: string | undefined }): Promise<{
    readonly lines: readonly AuditLine[]
    readonly cursor: string | undefined
  }>
}

/** Whose blast radius: of one credential, or of every one that came from a long-lived secret, as `NAME@VERSION`. */
export type Search =
  | { readonly fingerprint: string; readonly secret?: undefined }
  | { readonly secret: string; readonly fingerprint?: undefined }

/** All that a credential was used for. Times in ms since the epoch. */
export interface BlastRadius {
  readonly requests: number
  readonly firstAt: number | undefined
  readonly lastAt: number | undefined
  /** How many requests each, the most first. */
  readonly callers: readonly Counted[]
  readonly connections: readonly Counted[]
  readonly hosts: readonly Counted[]
  readonly fingerprints: readonly Counted[]
  readonly secrets: readonly Counted[]
}

/** A name, and how often it was there. */
export interface Counted {
  readonly name: string
  readonly count: number
}

const NAMES = {
  callers: 'caller',
  connections: 'connection',
  hosts: 'host',
  fingerprints: 'fingerprint',
  secrets: 'secret',
} as const

/** Sums up every request that used a credential; the requests themselves are found by the same search. */
export async function blastRadius(rows: SearchedRows, search: Search): Promise<BlastRadius> {
  const counts = new Map<keyof AuditKeys, Map<string, number>>(Object.values(NAMES).map((key) => [key, new Map()]))
  let [requests, firstAt, lastAt] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  let cursor: string | undefined
  do {
    const page = await rows.find({ ...search, limit: 1000, cursor })
    for (const { keys } of page.lines) {
      requests++
      firstAt = Math.min(firstAt, keys.time)
      lastAt = Math.max(lastAt, keys.time)
      for (const [key, names] of counts) count(names, keys[key])
    }
    cursor = page.cursor
  } while (cursor !== undefined)
  const known = requests > 0
  const of = (list: keyof typeof NAMES) => sorted(counts.get(NAMES[list]) ?? new Map())
  return {
    requests,
    firstAt: known ? firstAt : undefined,
    lastAt: known ? lastAt : undefined,
    callers: of('callers'),
    connections: of('connections'),
    hosts: of('hosts'),
    fingerprints: of('fingerprints'),
    secrets: of('secrets'),
  }
}

function count(names: Map<string, number>, value: unknown): void {
  if (typeof value === 'string') names.set(value, (names.get(value) ?? 0) + 1)
}

function sorted(names: ReadonlyMap<string, number>): Counted[] {
  return [...names].map(([name, times]) => ({ name, count: times })).sort((one, other) => other.count - one.count)
}
