import { hasEnded } from '../core/grants.ts'
import { z } from '../forms/zod.ts'
import type { Usage } from '../store/audit-rows.ts'
import { allGrants, type GrantView, grant, grantView } from './grant-view.ts'
import type { AdminPorts } from './ports.ts'
import { iso, named } from './shapes.ts'

const time = z.iso.datetime()

const held = named(
  'HeldGrant',
  z.strictObject({
    ...grant.shape,
    hasEnded: z.boolean(),
    uses: z.int().meta({ description: 'requests that it let through' }),
    lastUsedAt: time.optional(),
    users: z.array(z.string()).meta({ description: 'callers that used it' }),
  }),
)

const secret = named(
  'LongLivedSecret',
  z.strictObject({
    connection: z.string(),
    setting: z.string().meta({ description: 'where the settings refer to it, as in "credential.clientSecret"' }),
    kept: z.string().meta({ description: 'where: "file", "env" or "store"' }),
    isInjected: z
      .boolean()
      .meta({ description: 'static: it goes into requests itself, so whoever reads one request has it for good' }),
    since: time.optional().meta({ description: 'when it was last changed; absent: nobody knows' }),
    ageDays: z.int().optional(),
  }),
)

/** Who holds what, whether it is used, and which secrets grow old behind it. */
export const inventory = named(
  'Inventory',
  z.strictObject({
    since: time.meta({ description: 'uses are counted from then on' }),
    items: z.array(held),
    secrets: z.array(secret),
  }),
)

/** A secret that no issuer renews by itself. */
export interface LongLivedSecret {
  readonly connection: string
  readonly setting: string
  readonly kept: string
  readonly isInjected: boolean
  /** ms since the epoch */
  readonly since: number | undefined
}

const DAY_MS = 86_400_000

/** Joins grants with what the audit says of their use since a time, in ms. */
export async function takeInventory(ports: AdminPorts, usage: readonly Usage[], since: number) {
  const now = ports.clock.now()
  const byGrant = Map.groupBy(usage, ({ grant }) => grant)
  const secrets = await ports.longLivedSecrets()
  return {
    since: iso(since),
    items: allGrants(ports).map((one) => ({
      ...grantView(one),
      hasEnded: hasEnded(one, now),
      ...usesOf(grantView(one), byGrant.get(one.id) ?? []),
    })),
    secrets: secrets.map(({ since: at, ...rest }) => ({
      ...rest,
      ...(at !== undefined && { since: iso(at), ageDays: Math.max(0, Math.floor((now - at) / DAY_MS)) }),
    })),
  }
}

/** An id of the settings is a place in a file: what it let through under another holder was another grant. */
function usesOf({ caller, connection }: GrantView, usage: readonly Usage[]) {
  const own = usage.filter((one) => one.connection === connection && (caller === undefined || one.caller === caller))
  const last = Math.max(...own.map(({ lastAt }) => lastAt))
  return {
    uses: own.reduce((sum, { count }) => sum + count, 0),
    ...(own.length > 0 && { lastUsedAt: iso(last) }),
    users: [...new Set(own.map((one) => one.caller))].sort(),
  }
}
