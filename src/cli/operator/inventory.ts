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
    const unused = answer.items.filter(({ uses, hasEnded }) => uses === 0 && !hasEnded).length
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
  { head: 'USES', text: ({ uses }) => String(uses) },
  { head: 'LAST USED', text: ({ lastUsedAt, hasEnded }) => lastUsedAt ?? (hasEnded ? 'ended' : 'never') },
  { head: 'UNTIL', text: ({ until }) => until },
  { head: 'BY', text: ({ source, createdBy }) => createdBy ?? source },
  { head: 'ID', text: ({ id }) => id },
]

const SECRETS: readonly Column<Inventory['secrets'][number]>[] = [
  { head: 'SECRET OF', text: ({ connection, setting }) => `${connection} ${setting}` },
  { head: 'KEPT', text: ({ kept }) => kept },
  { head: 'AGE', text: ({ ageDays }) => (ageDays === undefined ? 'unknown' : `${ageDays} days`) },
  { head: 'STATIC', text: ({ isInjected }) => (isInjected ? 'yes: it goes into requests itself' : undefined) },
]
