import type { Usage } from '../core/audit-line.ts'
import { type Holder, holderText } from '../core/grants.ts'

/** A grant as the settings or the store have it. Times in ms since the epoch. */
export interface GrantFacts {
  readonly id: string
  readonly holder: Holder
  readonly connection: string
  readonly until?: number | undefined
  readonly source: 'declared' | 'stored'
  /** Absent where nobody wrote it down: the settings do not say. */
  readonly createdAt?: number | undefined
}

/** A connection, and the long-lived secrets behind it. */
export interface ConnectionFacts {
  readonly name: string
  /** Kind of its source; `static` means that the long-lived secret itself goes upstream. */
  readonly source: string
  /** Names of them, as the audit has them before the `@`. */
  readonly secrets: readonly string[]
  readonly isDisabled: boolean
}

/** When a long-lived secret became what it is: its version in the store, or the last change of its file. */
export interface SecretFacts {
  readonly name: string
  readonly since: number | undefined
}

/** What an inventory is made of. */
export interface Facts {
  readonly grants: readonly GrantFacts[]
  readonly connections: readonly ConnectionFacts[]
  readonly secrets: readonly SecretFacts[]
  /** Of the rows since `usageSince`. */
  readonly usage: readonly Usage[]
  readonly usageSince: number
  readonly now: number
  /** From that age on a secret is old. */
  readonly oldAfterMs: number
}

/** What is known of connections and of their secrets. */
export type InventoryFacts = Pick<Facts, 'connections' | 'secrets'>

/** One grant: who holds what, and whether anybody uses it. */
export interface Holding extends GrantFacts {
  /** `checkout`, or `group:west-sales`. */
  readonly holderName: string
  /** Callers that used it, the most recent first: of a group there may be many. */
  readonly usedBy: readonly { readonly caller: string; readonly count: number; readonly lastAt: number }[]
  readonly count: number
  readonly lastAt: number | undefined
  /** Not used in all the time that is looked at, although it could have been. */
  readonly isUnused: boolean
  readonly isExpired: boolean
}

/** One long-lived secret, and what is doubtful about it. */
export interface SecretHolding {
  readonly name: string
  readonly connections: readonly string[]
  readonly ageMs: number | undefined
  readonly isOld: boolean
  /** It is sent upstream as it is, and not only to an issuer. */
  readonly isStatic: boolean
  /** When a request last used a credential of it. */
  readonly lastAt: number | undefined
}

/** Who holds which connection, and by which secrets. */
export interface Inventory {
  readonly holdings: readonly Holding[]
  readonly secrets: readonly SecretHolding[]
}

/**
 * The three ways in which personal tokens fail, made visible: nobody knows who holds one, nobody uses it any more, and
 * nobody has changed it for years.
 */
export function inventoryOf(facts: Facts): Inventory {
  const byGrant = groupedBy(facts.usage, ({ grant, connection }) => placeOf(grant ?? '', connection))
  const holdings = facts.grants.map((grant) =>
    holdingOf(grant, byGrant.get(placeOf(grant.id, grant.connection)) ?? [], facts),
  )
  return { holdings, secrets: secretsOf(facts) }
}

/** Declared grants are named by their place, which may have been another one's before. */
function placeOf(grant: string, connection: string): string {
  return JSON.stringify([grant, connection])
}

function holdingOf(grant: GrantFacts, usage: readonly Usage[], { now, usageSince }: Facts): Holding {
  const usedBy = [...usage]
    .filter(({ caller }) => grant.holder.caller === undefined || grant.holder.caller === caller)
    .sort((one, other) => other.lastAt - one.lastAt)
    .map(({ caller, count, lastAt }) => ({ caller, count, lastAt }))
  // A grant of yesterday has not been unused for a month.
  const isNew = grant.createdAt !== undefined && grant.createdAt > usageSince
  return {
    ...grant,
    holderName: holderText(grant.holder),
    usedBy,
    count: usedBy.reduce((sum, { count }) => sum + count, 0),
    lastAt: usedBy[0]?.lastAt,
    isUnused: usedBy.length === 0 && !isNew,
    isExpired: grant.until !== undefined && grant.until <= now,
  }
}

function secretsOf({ connections, secrets, usage, now, oldAfterMs }: Facts): SecretHolding[] {
  const lastUse = new Map<string, number>()
  for (const { connection, lastAt } of usage) lastUse.set(connection, Math.max(lastAt, lastUse.get(connection) ?? 0))
  const since = new Map(secrets.map((secret) => [secret.name, secret.since]))
  const held = connections.flatMap((connection) => connection.secrets.map((secret) => ({ secret, connection })))
  return [...groupedBy(held, ({ secret }) => secret)].map(([name, rows]) => {
    const using = rows.map(({ connection }) => connection)
    const changedAt = since.get(name)
    const ageMs = changedAt === undefined ? undefined : Math.max(0, now - changedAt)
    const used = using.flatMap((connection) => lastUse.get(connection.name) ?? [])
    return {
      name,
      connections: using.map((connection) => connection.name),
      ageMs,
      isOld: ageMs !== undefined && ageMs >= oldAfterMs,
      isStatic: using.some(({ source }) => source === 'static'),
      lastAt: used.length === 0 ? undefined : Math.max(...used),
    }
  })
}

function groupedBy<T>(items: readonly T[], keyOf: (item: T) => string | undefined): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const key = keyOf(item)
    if (key === undefined) continue
    const group = groups.get(key)
    if (group) group.push(item)
    else groups.set(key, [item])
  }
  return groups
}
