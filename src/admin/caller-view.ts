import type { StoredCaller, StoredKey } from '../core/holdings.ts'
import { z } from '../forms/zod.ts'
import { STORED_PROOF } from './known.ts'
import type { AdminPorts } from './ports.ts'
import { iso, named } from './shapes.ts'
import { holdingsOf } from './store-of.ts'

const time = z.iso.datetime()

/** A key of a caller, without it. */
export const callerKey = named(
  'CallerKey',
  z.strictObject({
    id: z.string(),
    createdAt: time,
    expiresAt: time.optional().meta({ description: 'proves nobody from this very millisecond on' }),
  }),
)

/** Somebody who may ask. */
export const caller = named(
  'Caller',
  z.strictObject({
    name: z.string(),
    source: z
      .enum(['declared', 'stored'])
      .meta({ description: '`declared`: in the settings file, and read-only here' }),
    proof: z.string().meta({ description: 'the kind of its proof' }),
    createdAt: time.optional(),
    createdBy: z.string().optional().meta({ description: 'name of an operator' }),
    keys: z.array(callerKey).optional().meta({ description: 'of a stored caller, those that still prove it' }),
  }),
)

/** The same with a key that is shown this once. */
export const callerWithKey = named(
  'CallerWithKey',
  z.strictObject({
    ...caller.shape,
    key: z.string().meta({ description: 'shown this once: only its digest is kept' }),
  }),
)

export type CallerView = z.infer<typeof caller>

/** A caller of the store as the API shows it. */
export function storedCallerView({ name, createdAt, createdBy, keys }: StoredCaller, now: number): CallerView {
  const live = keys.filter(({ expiresAt }) => expiresAt === undefined || now < expiresAt)
  return {
    name,
    source: 'stored',
    proof: STORED_PROOF,
    createdAt: iso(createdAt),
    createdBy,
    keys: live.map(keyView),
  }
}

/** A key of the store as the API shows it. */
export function keyView({ id, createdAt, expiresAt }: StoredKey): z.infer<typeof callerKey> {
  return { id, createdAt: iso(createdAt), ...(expiresAt !== undefined && { expiresAt: iso(expiresAt) }) }
}

/** All of them: those of the settings, and those of the store. Where both have a name, the settings have it. */
export function callerViews(ports: AdminPorts): readonly CallerView[] {
  const now = ports.clock.now()
  const { callers } = ports.declared()
  const declared = Array.from(callers, ([name, proof]): CallerView => ({ name, source: 'declared', proof }))
  const stored = holdingsOf(ports).callers.filter(({ name }) => !callers.has(name))
  return [...declared, ...stored.map((one) => storedCallerView(one, now))]
}
