import {
  type Holdings,
  NO_HOLDINGS,
  type StoredCaller,
  type StoredGrant,
  type StoredLogin,
  type StoredSwitch,
} from '../core/holdings.ts'
import type { Delta } from './reading.ts'

/** What this process knows of the store: takes in what was read, and never goes back to what was before. */
export class Known {
  readonly #callers = new Map<string, StoredCaller>()
  readonly #grants = new Map<string, StoredGrant>()
  readonly #switches = new Map<string, StoredSwitch>()
  readonly #logins = new Map<string, StoredLogin>()
  #holdings: Holdings = NO_HOLDINGS

  get holdings(): Holdings {
    return this.#holdings
  }

  /** False when something newer is known already: readings overlap. */
  take(delta: Delta): boolean {
    const known = this.#holdings.revision
    // What was read is older than what was known before the reading: the database itself went back, to a backup.
    const wentBack = delta.isWhole && delta.revision < delta.since
    if (delta.revision <= known && !wentBack) return false
    this.#holdings = Object.freeze({
      revision: delta.revision,
      callers: taken(this.#callers, this.#holdings.callers, delta, delta.callers),
      grants: taken(this.#grants, this.#holdings.grants, delta, delta.grants),
      switches: taken(this.#switches, this.#holdings.switches, delta, delta.switches),
      logins: taken(this.#logins, this.#holdings.logins, delta, delta.logins),
    })
    return true
  }
}

/** The very same list where nothing is different, so that whoever has compiled it need not do so again. */
function taken<T>(
  map: Map<string, T>,
  before: readonly T[],
  { isWhole }: Delta,
  changes: readonly (readonly [string, T | undefined])[],
): readonly T[] {
  if (!isWhole && changes.length === 0) return before
  if (isWhole) map.clear()
  for (const [key, value] of changes) {
    if (value === undefined) map.delete(key)
    else map.set(key, value)
  }
  return Object.freeze([...map.values()])
}
