import { type GrantFacts, type Holding, inventoryOf, type SecretHolding } from '../audit/inventory.ts'
import { z } from '../forms/zod.ts'
import type { Usage } from '../store/audit-rows.ts'
import { allGrants, grant, grantView } from './grant-view.ts'
import type { AdminPorts } from './ports.ts'
import { iso, named } from './shapes.ts'

const time = z.iso.datetime()

const held = named(
  'HeldGrant',
  z.strictObject({
    ...grant.shape,
    count: z.int().meta({ description: 'requests that it let through' }),
    lastUsedAt: time.optional(),
    usedBy: z
      .array(z.strictObject({ caller: z.string(), count: z.int(), lastUsedAt: time }))
      .meta({ description: 'the most recent first: of a group there may be many' }),
    isUnused: z.boolean().meta({ description: 'not used in all that time, although it could have been' }),
    isExpired: z.boolean(),
  }),
)

const secret = named(
  'LongLivedSecret',
  z.strictObject({
    name: z.string().meta({ description: 'as the audit has it before the `@`: `crm`, or `file:secrets/crm`' }),
    connections: z.array(z.string()),
    ageMs: z.int().optional().meta({ description: 'since it became what it is; absent: nobody knows' }),
    isOld: z.boolean(),
    isStatic: z.boolean().meta({ description: 'it is sent upstream as it is, and not only to an issuer' }),
    lastUsedAt: time.optional(),
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

interface Period {
  /** Of the audit since then. */
  readonly usage: readonly Usage[]
  /** ms since the epoch */
  readonly usageSince: number
  /** From that age on a secret is old. */
  readonly oldAfterMs: number
}

/** Joins grants and secrets with what the audit says of their use. */
export async function takeInventory(ports: AdminPorts, period: Period): Promise<z.infer<typeof inventory>> {
  const grants = allGrants(ports)
  const views = new Map(grants.map((one) => [one.id, grantView(one)]))
  const facts = await ports.inventoryFacts()
  const { holdings, secrets } = inventoryOf({
    ...facts,
    ...period,
    grants: grants.map(factsOf),
    now: ports.clock.now(),
  })
  return {
    since: iso(period.usageSince),
    items: holdings.flatMap((one) => {
      const view = views.get(one.id)
      return view ? { ...view, ...heldView(one) } : []
    }),
    secrets: secrets.map(secretView),
  }
}

function factsOf(one: ReturnType<typeof allGrants>[number]): GrantFacts {
  return { ...one, source: 'createdAt' in one ? 'stored' : 'declared' }
}

function heldView({ count, lastAt, usedBy, isUnused, isExpired }: Holding) {
  return {
    count,
    ...(lastAt !== undefined && { lastUsedAt: iso(lastAt) }),
    usedBy: usedBy.map(({ lastAt: at, ...rest }) => ({ ...rest, lastUsedAt: iso(at) })),
    isUnused,
    isExpired,
  }
}

function secretView({ name, connections, ageMs, isOld, isStatic, lastAt }: SecretHolding): z.infer<typeof secret> {
  return {
    name,
    connections: [...connections],
    ...(ageMs !== undefined && { ageMs: Math.floor(ageMs) }),
    isOld,
    isStatic,
    ...(lastAt !== undefined && { lastUsedAt: iso(lastAt) }),
  }
}
