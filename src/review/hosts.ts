import type { HostTable } from '../core/host-table.ts'

/** How many names of one wildcard are named one by one; more of them are likely to be made as they are needed. */
const NAMES_AT_MOST = 8

/** The hosts that were asked for, by the pattern of the allowlist that covers them today; a bound a pattern. */
export class Hosts {
  readonly #allowlist: HostTable<string>
  readonly #byPattern = new Map<string, Set<string>>()

  constructor(allowlist: HostTable<string>) {
    this.#allowlist = allowlist
  }

  add(host: string): void {
    const pattern = this.#allowlist.find(host) ?? host
    const names = this.#byPattern.get(pattern) ?? new Set()
    this.#byPattern.set(pattern, names)
    if (names.size <= NAMES_AT_MOST) names.add(host)
  }

  /** Of a wildcard that is there: its names, or itself. Of the others, those that are wanted. */
  all(isWanted: (host: string) => boolean): readonly string[] {
    return [...this.#byPattern]
      .flatMap(([pattern, names]) => (names.size > NAMES_AT_MOST ? [pattern] : [...names].filter(isWanted)))
      .toSorted()
  }
}
