import { isDeepStrictEqual } from 'node:util'
import type { Identify } from './callers/identify.ts'
import type { CallerTools } from './callers/method.ts'
import { buildCallers } from './callers/registry.ts'
import { buildConnections, buildUnlisted, type ConnectionTools, type Kept } from './connections.ts'
import type { StoredCaller } from './core/holdings.ts'
import { needsOf } from './credentials/registry.ts'
import { FileReference } from './forms/network.ts'
import type { Snapshot } from './gate/snapshot.ts'
import type { Loaded } from './settings/load.ts'
import { type OpenReferences, referencesIn } from './settings/open.ts'

/** One reading of the settings, and what of it can be another in the next one. */
export interface Configured extends Pick<Snapshot, 'connections' | 'unlisted'> {
  readonly loaded: Loaded
  readonly references: OpenReferences
  identifyWith(stored: readonly StoredCaller[]): Identify
}

/** What it is built with, besides what the settings refer to. */
export interface ConfiguredTools {
  readonly proving: Omit<CallerTools, 'references'>
  readonly connecting: Omit<ConnectionTools, 'references'>
}

/**
 * Builds it. What is the same as before stays what it is: a connection keeps its token, its sockets and its backoff, one that
 * is another but for its credential keeps the token, and callers keep the keys of their issuers. Does no I/O.
 */
export function configure(
  loaded: Loaded,
  references: OpenReferences,
  { proving, connecting }: ConfiguredTools,
  before?: Configured,
): Configured {
  const { callers, connections } = loaded.settings
  const tools = { ...connecting, references }
  const areCallersSame = before && isSame(before.loaded.settings.callers, callers, before, references)
  return {
    loaded,
    references,
    identifyWith: areCallersSame ? before.identifyWith : buildCallers(callers, { ...proving, references }),
    connections: buildConnections(connections, tools, before && keptOf(before, loaded, references)),
    unlisted: before?.unlisted ?? buildUnlisted(tools),
  }
}

/** The connections that nothing has changed for, nor for those that they need; and the credentials of which that is true. */
function keptOf(before: Configured, { settings }: Loaded, references: OpenReferences): Kept {
  const then = before.loaded.settings.connections
  const now = settings.connections
  const verdicts = new Map<string, boolean>()
  function isKept(name: string): boolean {
    const known = verdicts.get(name)
    if (known !== undefined) return known
    const verdict = isSame(then[name], now[name], before, references) && isSupplyKept(name)
    verdicts.set(name, verdict)
    return verdict
  }
  /** It asks those that it needs as they were when it was built. */
  function isSupplyKept(name: string): boolean {
    const [one, other] = [then[name]?.credential, now[name]?.credential]
    if (!one || !other || !isSame(one, other, before, references)) return false
    return (needsOf(other).connections ?? []).every((need) => isKept(need.name))
  }
  const all = [...before.connections]
  return {
    connections: new Map(all.filter(([name]) => isKept(name))),
    supplies: new Map(all.flatMap(([name, { supply }]) => (isSupplyKept(name) ? [[name, supply]] : []))),
  }
}

/** The same words, and the same text in every file that was read once. */
function isSame(one: unknown, other: unknown, before: Configured, references: OpenReferences): boolean {
  if (!isDeepStrictEqual(one, other)) return false
  const [then, now] = [one, other].map((part) => referencesIn(part).map(({ reference }) => reference))
  return (then ?? []).every((reference, at) => {
    const its = now?.[at]
    if (!(reference instanceof FileReference && its instanceof FileReference)) return true
    return before.references.file(reference) === references.file(its)
  })
}
