import type { CallerSettings, Identify } from './callers/registry.ts'
import type { Grant } from './core/grants.ts'
import { type Holdings, NO_HOLDINGS, type StoredCaller, type StoredGrant } from './core/holdings.ts'
import { compileRule } from './core/rule.ts'
import type { Connection, Snapshot } from './gate/snapshot.ts'
import { type Additions, compilePolicy } from './settings/policy.ts'
import type { Settings } from './settings/schema.ts'
import type { Store } from './store/store.ts'

interface Parts {
  readonly settings: Settings
  readonly store: Store | undefined
  readonly connections: ReadonlyMap<string, Connection>
  identifyBy(callers: Readonly<Record<string, CallerSettings>>, stored: readonly StoredCaller[]): Identify
}

/** The configuration as it is now: settings, and what operators have added while running. */
export interface Live {
  snapshot(): Snapshot
  /** Stops following the store. */
  close(): void
}

/**
 * Makes the snapshot anew at each change of the store, before the change is answered: the very next ask is decided by it.
 * `onChange` is called with each, behind it.
 */
export function goLive(parts: Parts, onChange: () => void = () => {}): Live {
  const { settings, store, connections, identifyBy } = parts
  let holdings = store?.holdings() ?? NO_HOLDINGS
  let snapshot = make(undefined)
  const close = store?.onChange((latest) => {
    const before = holdings
    holdings = latest
    snapshot = make(latest.callers === before.callers ? snapshot.identify : undefined)
    onChange()
  })
  return { snapshot: () => snapshot, close: () => close?.() }

  function make(identify: Identify | undefined): Snapshot {
    const policy = compilePolicy(settings, additionsOf(holdings))
    return Object.freeze({
      policy,
      identify: identify ?? identifyBy(settings.callers, holdings.callers),
      connections,
    })
  }
}

/** What operators have added, as a policy is compiled of it. */
export function additionsOf({ grants, switches }: Pick<Holdings, 'grants' | 'switches'>): Additions {
  return { grants: grants.map(compiled), disabled: new Set(switches.map(({ connection }) => connection)) }
}

/** Most grants stay as they are from one change to the next. */
const known = new WeakMap<StoredGrant, Grant>()

function compiled(stored: StoredGrant): Grant {
  const before = known.get(stored)
  if (before) return before
  const { id, holder, connection, rules, until } = stored
  const grant: Grant = { id, holder, connection, rules: rules.map(compileRule), until }
  known.set(stored, grant)
  return grant
}
