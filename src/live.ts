import type { Identify } from './callers/identify.ts'
import { buildRecognize } from './callers/recognize.ts'
import type { Configured } from './configured.ts'
import type { Clock } from './core/clock.ts'
import type { Grant } from './core/grants.ts'
import { type Holdings, NO_HOLDINGS, type StoredCaller, type StoredGrant, UNREADABLE } from './core/holdings.ts'
import { compileRule } from './core/rule.ts'
import { steadyTime } from './core/steady-time.ts'
import type { Snapshot } from './gate/snapshot.ts'
import { type Additions, compileDeclared, type Declared, policyOf } from './settings/policy.ts'
import type { Store } from './store/store.ts'

interface Parts {
  readonly store: Store | undefined
  readonly clock: Clock
}

/** How often it is asked whether the store has been lost for too long, and whether a key has ended. */
const LOOK_MS = 250

/**
 * The configuration as it is now: settings, and what operators have added while running. The snapshot is made anew at each
 * change of the store, before the change is answered: the very next ask is decided by it.
 */
export class Live {
  readonly #parts: Parts
  readonly #now: () => number
  readonly #listeners: (() => void)[] = []
  readonly #stopFollowing: (() => void) | undefined
  readonly #looking: NodeJS.Timeout | undefined
  #configured: Configured
  #declared: Declared
  #callers: readonly StoredCaller[]
  #additions: Additions
  #isLost = false
  /** The store has said something that is not understood here. */
  #isObscure = false
  /** When the next key in the store ends; ms since the epoch. */
  #keyEnd: number
  #snapshot: Snapshot

  constructor(configured: Configured, parts: Parts) {
    const { store } = parts
    const holdings = store?.holdings() ?? NO_HOLDINGS
    this.#parts = parts
    this.#now = steadyTime(parts.clock)
    this.#configured = configured
    this.#declared = compileDeclared(configured.loaded.settings)
    this.#callers = holdings.callers
    this.#keyEnd = nextEnd(holdings.callers, this.#now())
    this.#additions = additionsOf(holdings)
    this.#snapshot = this.#make(configured.identifyWith(holdings.callers))
    this.#stopFollowing = store?.onChange((latest) => this.#follow(latest))
    if (store) this.#looking = setInterval(() => this.#look(store), LOOK_MS).unref()
  }

  readonly snapshot = (): Snapshot => this.#snapshot

  /** Called behind each change, when `snapshot` gives the new one. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** Puts these in the place of what the store has added, until that changes. */
  readonly revise = (additions: Additions): void => {
    this.#additions = additions
    this.#swap(this.#snapshot.identify)
  }

  /** Puts another reading of the settings in the place of the one before. @throws Error, and nothing has changed then */
  reconfigure(next: Configured): void {
    const declared = compileDeclared(next.loaded.settings)
    const isSame = next.identifyWith === this.#configured.identifyWith
    const identify = isSame ? this.#snapshot.identify : next.identifyWith(this.#callers)
    this.#declared = declared
    this.#configured = next
    this.#swap(identify)
  }

  /** Stops following the store. */
  close(): void {
    clearInterval(this.#looking)
    this.#stopFollowing?.()
  }

  /** What cannot be compiled may have taken something back: until it can be, nothing goes out. */
  #follow(latest: Holdings): void {
    try {
      this.#swap(this.#take(latest))
    } catch (error) {
      this.#isObscure = true
      this.#swap(this.#snapshot.identify)
      throw error
    }
  }

  #take(latest: Holdings): Identify {
    const additions = additionsOf(latest)
    const isSame = latest.callers === this.#callers
    const identify = isSame ? this.#snapshot.identify : this.#configured.identifyWith(latest.callers)
    this.#callers = latest.callers
    this.#keyEnd = nextEnd(latest.callers, this.#now())
    this.#additions = additions
    this.#isObscure = false
    return identify
  }

  /** What nobody has confirmed for that long may have been taken back long ago. */
  #look(store: Store): void {
    const { clock } = this.#parts
    const { settings } = this.#configured.loaded
    const isLost = clock.monotonic() - store.confirmedAt() > (settings.store?.staleMs ?? Number.POSITIVE_INFINITY)
    if (isLost !== this.#isLost) {
      this.#isLost = isLost
      this.#swap(this.#snapshot.identify)
    } else if (this.#now() >= this.#keyEnd) {
      // What it began ends with it, as with one that was taken back.
      this.#keyEnd = nextEnd(this.#callers, this.#now())
      this.#tell()
    }
  }

  #swap(identify: Identify): void {
    this.#snapshot = this.#make(identify)
    this.#tell()
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }

  #make(identify: Identify): Snapshot {
    const { loaded, connections, unlisted } = this.#configured
    const policy = { ...policyOf(this.#declared, this.#additions), isLost: this.#isLost || this.#isObscure }
    return Object.freeze({
      policy,
      identify,
      recognize: buildRecognize(identify, loaded.settings.callers),
      connections,
      unlisted,
    })
  }
}

/** The nearest end of a key behind `now`. */
function nextEnd(callers: readonly StoredCaller[], now: number): number {
  const ends = callers.flatMap(({ keys }) => keys.map(({ expiresAt = Number.POSITIVE_INFINITY }) => expiresAt))
  return ends.reduce((nearest, end) => (end > now ? Math.min(nearest, end) : nearest), Number.POSITIVE_INFINITY)
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
  if (rules === UNREADABLE)
    throw new Error(`the rules of grant ${id} in the store cannot be read: revoke it by its id, or delete its row`)
  const grant: Grant = { id, holder, connection, rules: rules.map(compileRule), until }
  known.set(stored, grant)
  return grant
}
