import type { BlastRadius, Counted } from '../audit/rows.ts'
import { z } from '../forms/zod.ts'
import { iso, named } from './shapes.ts'

const time = z.iso.datetime()
const counted = z.array(
  named('Counted', z.strictObject({ name: z.string(), count: z.int().meta({ description: 'requests' }) })),
)

/** All that a credential was used for, the most first. */
export const blastRadiusSummary = named(
  'BlastRadius',
  z.strictObject({
    requests: z.int(),
    firstAt: time.optional(),
    lastAt: time.optional(),
    callers: counted,
    connections: counted,
    hosts: counted,
    fingerprints: counted,
    secrets: counted,
  }),
)

/** The sums as the API shows them. */
export function summaryView({ requests, firstAt, lastAt, ...names }: BlastRadius): z.infer<typeof blastRadiusSummary> {
  const list = (all: readonly Counted[]) => all.map(({ name, count }) => ({ name, count }))
  return {
    requests,
    ...(firstAt !== undefined && { firstAt: iso(firstAt) }),
    ...(lastAt !== undefined && { lastAt: iso(lastAt) }),
    callers: list(names.callers),
    connections: list(names.connections),
    hosts: list(names.hosts),
    fingerprints: list(names.fingerprints),
    secrets: list(names.secrets),
  }
}
