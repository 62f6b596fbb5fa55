import { type CallerSettings, settingsOfCaller } from './callers/registry.ts'
import type { StoredCaller } from './core/holdings.ts'
import { OTHERS } from './telemetry/caller-use.ts'

/** Who proved nothing. No name of a caller begins with a bracket. */
const UNKNOWN = '(unknown)'
/** Names of tokens and certificates, remembered with what they are called. */
const MAX_REMEMBERED = 1000

/**
 * What a caller is called in metrics, so that no proof can add a series: its name where the settings or the store have it;
 * where a template has made the name of a claim, the caller of the settings that the template belongs to; `(others)` where it
 * was removed meanwhile.
 */
export function callerLabels(
  callers: Readonly<Record<string, CallerSettings>>,
  stored: () => readonly StoredCaller[],
): (name: string | undefined) => string {
  const makers = new Map(Object.entries(callers).map(([name, settings]) => [settings, name]))
  const made = new Map<string, string>()
  let known: { readonly of: readonly StoredCaller[]; readonly names: ReadonlySet<string> } | undefined

  function isStored(name: string): boolean {
    const latest = stored()
    if (known?.of !== latest) known = { of: latest, names: new Set(latest.map((one) => one.name)) }
    return known.names.has(name)
  }

  function makerOf(name: string): string {
    const remembered = made.get(name)
    if (remembered !== undefined) return remembered
    const settings = settingsOfCaller(name, callers)
    const label = (settings && makers.get(settings)) ?? OTHERS
    if (made.size >= MAX_REMEMBERED) made.clear()
    made.set(name, label)
    return label
  }

  return function labelOf(name) {
    if (name === undefined) return UNKNOWN
    return Object.hasOwn(callers, name) || isStored(name) ? name : makerOf(name)
  }
}
