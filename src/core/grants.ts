import type { Caller } from './ask.ts'
import type { CompiledRule } from './rule.ts'

/** Who holds a grant: one caller, or every caller whose proof puts it into a group. */
export type Holder =
  | { readonly caller: string; readonly group?: undefined }
  | { readonly group: string; readonly caller?: undefined }

/** Permission for a holder to use a connection. `until`: ms since the epoch; refused from that very millisecond on. */
export interface Grant {
  /** `grants[3]` of a settings file, or the id that the store gave it. Stable while the grant lasts. */
  readonly id: string
  readonly holder: Holder
  readonly connection: string
  readonly rules: readonly CompiledRule[]
  readonly until?: number | undefined
}

type ByConnection = ReadonlyMap<string, readonly Grant[]>

/** Grants as a request looks them up. */
export interface GrantTable {
  readonly byCaller: ReadonlyMap<string, ByConnection>
  readonly byGroup: ReadonlyMap<string, ByConnection>
}

/** Indexes grants; the order in which they were given stays. */
export function indexGrants(grants: readonly Grant[]): GrantTable {
  const byCaller = new Map<string, Map<string, Grant[]>>()
  const byGroup = new Map<string, Map<string, Grant[]>>()
  for (const grant of grants) {
    const { caller, group } = grant.holder
    if (caller !== undefined) insert(byCaller, caller, grant)
    else insert(byGroup, group, grant)
  }
  return { byCaller, byGroup }
}

function insert(table: Map<string, Map<string, Grant[]>>, holder: string, grant: Grant): void {
  const row = table.get(holder) ?? new Map<string, Grant[]>()
  table.set(holder, row)
  const list = row.get(grant.connection)
  if (list) list.push(grant)
  else row.set(grant.connection, [grant])
}

const NONE: readonly Grant[] = []

/** Every grant that lets this caller use that connection, its own before those of its groups. */
export function grantsFor({ name, groups }: Caller, connection: string, table: GrantTable): readonly Grant[] {
  const own = table.byCaller.get(name)?.get(connection) ?? NONE
  if (!groups || groups.length === 0 || table.byGroup.size === 0) return own
  return [...own, ...groups.flatMap((group) => table.byGroup.get(group)?.get(connection) ?? NONE)]
}

/** From its very millisecond on. */
export function hasEnded({ until }: Pick<Grant, 'until'>, at: number): boolean {
  return until !== undefined && at >= until
}

/** `checkout`, or `group:west-sales`: no name of a caller has a colon. */
export function holderText({ caller, group }: Holder): string {
  return caller ?? `group:${group}`
}
