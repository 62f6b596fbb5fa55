import { z } from '../../forms/zod.ts'
import { inventory, takeInventory } from '../inventory.ts'
import { look, type Route } from '../route.ts'
import { instant } from '../shapes.ts'
import { auditOf } from '../store-of.ts'

const DAY_MS = 86_400_000
const QUARTER_MS = 90 * DAY_MS

/** Who holds what. */
export const inventoryRoutes: readonly Route[] = [
  look({
    path: '/v1/inventory',
    summary: 'Who holds which connection, whether and when it was used, and the age of each long-lived secret',
    role: 'viewer',
    query: z.strictObject({
      since: instant.optional().meta({ description: 'count uses from this time on; 90 days back without it' }),
      oldAfterDays: z.coerce.number().int().min(1).max(36_500).default(90).meta({
        description: 'from that age on a secret is old',
      }),
    }),
    response: inventory,
    problems: ['store-missing', 'audit-elsewhere', 'store-lost'],
    async handle({ query }, ports) {
      const usageSince = query.since === undefined ? ports.clock.now() - QUARTER_MS : Date.parse(query.since)
      const usage = await auditOf(ports).usage(usageSince)
      return takeInventory(ports, { usage, usageSince, oldAfterMs: query.oldAfterDays * DAY_MS })
    },
  }),
]
