import type { Identify } from './callers/identify.ts'
import { buildRecognize } from './callers/recognize.ts'
import type { Grant } from './core/grants.ts'
import { type Holdings, NO_HOLDINGS, type StoredCaller, type StoredGrant } from './core/holdings.ts'
import { compileRule } from './core/rule.ts'
import type { Snapshot } from './gate/snapshot.ts'
import { type Additions, compileDeclared, policyOf } from './settings/policy.ts'
import type { Settings } from './settings/schema.ts'
import type { Store } from './store/store.ts'

interface Parts extends Pick<Snapshot, 'connections' | 'unlisted'> {
  readonly settings: Settings
  readonly store: Store | undefined
  identifyWith(stored: readonly StoredCaller[]): Identify
}

/** The configuration as it is now: settings, and what operators have added while running. */
export interface Live {
  snapshot(): Snapshot
  /** Puts these in the place of what the store has added, until that changes. */
  revise(additions: Additions): void
  /** Called behind each change, when `snapshot` gives the new one. */
  onChange(listener: () => void): void
  /** Stops following the store. */
  close(): void
}

/** Makes the snapshot anew at each change of the store, before the change is answered: the very next ask is decided by it. */
export function goLive({ settings, store, identifyWith, connections, unlisted }: Parts): Live {
  const declared = compileDeclared(settings)
  const listeners: (() => void)[] = []
  let { callers, ...added } = store?.holdings() ?? NO_HOLDINGS
  let snapshot = make(identifyWith(callers), additionsOf(added))
  const swap = (next: Snapshot) => {
    snapshot = next
    for (const listener of listeners) listener()
  }
  const close = store?.onChange((latest) => {
    const identify = latest.callers === callers ? snapshot.identify : identifyWith(latest.callers)
    callers = latest.callers
    swap(make(identify, additionsOf(latest)))
  })
  return {
    snapshot: () => snapshot,
    revise: (additions) => swap(make(snapshot.identify, additions)),
    onChange: (listener) => void listeners.push(listener),
    close: () => close?.(),
  }

  function make(identify: Identify, additions: Additions): Snapshot {
    const recognize = buildRecognize(identify, settings.callers)
    return Object.freeze({ policy: policyOf(declared, additions), identify, recognize, connections, unlisted })
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
