import { z } from '../../forms/zod.ts'
import { inventory, takeInventory } from '../inventory.ts'
import { look, type Route } from '../route.ts'
import { instant } from '../shapes.ts'
import { storeOf } from '../store-of.ts'

const QUARTER_MS = 90 * 86_400_000

/** Who holds what. */
export const inventoryRoutes: readonly Route[] = [
  look({
    path: '/v1/inventory',
    summary: 'Who holds which connection, whether and when it was used, and the age of each long-lived secret',
    role: 'viewer',
    query: z.strictObject({
      since: instant.optional().meta({ description: 'count uses from this time on; 90 days back without it' }),
    }),
    response: inventory,
    problems: ['store-missing', 'store-lost'],
    async handle({ query }, ports) {
      const since = query.since === undefined ? ports.clock.now() - QUARTER_MS : Date.parse(query.since)
      return takeInventory(ports, await storeOf(ports).audit.usage(since), since)
    },
  }),
]
