import { type CallerSettings, settingsOfCaller } from './callers/registry.ts'
import type { StoredCaller } from './core/holdings.ts'
import { OTHERS } from './telemetry/caller-use.ts'

/** Who proved nothing. No name of a caller begins with a bracket. */
const UNKNOWN = '(unknown)'
/** Names of tokens and certificates, remembered with what they are called. */
const MAX_REMEMBERED = 1000

/** What callers are called in metrics. */
export interface CallerLabels {
  /** Of one that asks; undefined: it has proved nothing. */
  of(name: string | undefined): string
  /** Whether somebody may be called that now. */
  has(label: string): boolean
}

/**
 * What a caller is called in metrics, so that no proof can add a series: its name where the settings or the store have it;
 * where a template has made the name of a claim, the caller of the settings that the template belongs to; `(others)` where it
 * was removed meanwhile.
 */
export function callerLabels(
  declared: () => Readonly<Record<string, CallerSettings>>,
  stored: () => readonly StoredCaller[],
): CallerLabels {
  // Not asked for before the first ask: there may be no house yet.
  let callers: ReturnType<typeof declared> = {}
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
    const label = Object.entries(callers).find(([, one]) => one === settings)?.[0] ?? OTHERS
    if (made.size >= MAX_REMEMBERED) made.clear()
    made.set(name, label)
    return label
  }

  /** The settings are others: what a template made may be another's now. */
  function forget(): void {
    callers = declared()
    made.clear()
  }

  function isName(name: string): boolean {
    if (declared() !== callers) forget()
    return Object.hasOwn(callers, name) || isStored(name)
  }

  return {
    of(name) {
      if (name === undefined) return UNKNOWN
      return isName(name) ? name : makerOf(name)
    },
    has: (label) => label === UNKNOWN || label === OTHERS || isName(label),
  }
}
