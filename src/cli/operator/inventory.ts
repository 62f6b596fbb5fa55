import { inventory as inventoryShape } from '../../admin/inventory.ts'
import type { z } from '../../forms/zod.ts'
import { ask } from './client.ts'
import { type Column, tableOf } from './output.ts'
import { timeBack } from './time.ts'
import { type VerbOptions, viaDoor } from './verb.ts'

interface InventoryOptions extends VerbOptions {
  readonly since?: string
}

/** `sallyport inventory`: who holds what and whether it is used, and which long-lived secrets grow old behind it. */
export function inventory(options: InventoryOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    const since = options.since === undefined ? undefined : timeBack(options.since, Date.now())
    const answer = await ask(door, inventoryShape, { path: '/v1/inventory', query: { since } })
    const unused = answer.items.filter(({ isUnused }) => isUnused).length
    const words = [
      tableOf(answer.items, GRANTS, 'no grants'),
      tableOf(answer.secrets, SECRETS, 'no long-lived secrets'),
    ].join('\n')
    const note = unused === 0 ? undefined : `grants that nobody has used since ${answer.since}: ${unused}`
    return { json: answer, words, note }
  })
}

type Inventory = z.infer<typeof inventoryShape>

const GRANTS: readonly Column<Inventory['items'][number]>[] = [
  { head: 'HOLDER', text: ({ caller, group = '' }) => caller ?? `group:${group}` },
  { head: 'CONNECTION', text: ({ connection }) => connection },
  { head: 'USES', text: ({ count }) => String(count) },
  { head: 'LAST USED', text: ({ lastUsedAt, isExpired }) => lastUsedAt ?? (isExpired ? 'ended' : 'never') },
  { head: 'UNTIL', text: ({ until }) => until },
  { head: 'BY', text: ({ source, createdBy }) => createdBy ?? source },
  { head: 'ID', text: ({ id }) => id },
]

const SECRETS: readonly Column<Inventory['secrets'][number]>[] = [
  { head: 'SECRET', text: ({ name }) => name },
  { head: 'OF', text: ({ connections }) => connections.join(', ') },
  { head: 'AGE', text: ageText },
  { head: 'LAST USED', text: ({ lastUsedAt }) => lastUsedAt },
  { head: 'STATIC', text: ({ isStatic }) => (isStatic ? 'yes: it goes into requests itself' : undefined) },
]

const DAY_MS = 86_400_000

function ageText({ ageMs, isOld }: Inventory['secrets'][number]): string {
  if (ageMs === undefined) return 'unknown'
  const days = `${Math.floor(ageMs / DAY_MS)} days`
  return isOld ? `${days}: old` : days
}
