import type { Purpose } from '../../core/purpose.ts'
import { z } from '../../forms/zod.ts'
import type { Part } from '../varying.ts'
import { callersToken, nobody } from './subject.ts'

/** Which client, or service principal, a caller is to be at the issuer. */
export const principalSettings = z.strictObject({
  claim: z.string().min(1).meta({ description: 'name of the claim, whose value is a text or a list of texts' }),
  map: z
    .record(z.string().min(1), z.string().regex(/^[\x20-\x7e]+$/, 'use printable ASCII'))
    .refine((map) => Object.keys(map).length > 0, 'name at least one value')
    .meta({ description: 'client id for each value of the claim' }),
  issuer: z.string().min(1).optional().meta({
    description:
      'whose tokens that claim counts in, as their `iss`; needed where callers show tokens of several issuers: the same value of another one means nothing',
  }),
})

/** The principal that a claim chooses. */
export interface Principals extends Part {
  /** @throws Problem `identity-missing` */
  of(purpose: Purpose): string
}

/**
 * Chooses by a claim of the caller's own token, as the federation policies of Databricks bind a subject to a service
 * principal. Exactly one value has to be in the map: of two nobody could say which was meant.
 */
export function principalsOf({ claim, map, issuer }: z.infer<typeof principalSettings>): Principals {
  const ids = new Map(Object.entries(map))
  function principalOf(purpose: Purpose): string {
    callersToken(purpose)
    if (issuer !== undefined && purpose.caller.token?.claims.get('iss') !== issuer)
      throw nobody(`the token of ${purpose.caller.name} is of another issuer than the one whose ${claim} counts`)
    const values = [purpose.caller.token?.claims.get(claim)].flat()
    const chosen = new Set(values.flatMap((value) => (typeof value === 'string' ? (ids.get(value) ?? []) : [])))
    const [id] = chosen
    if (id === undefined) throw nobody(`the claim ${claim} of ${purpose.caller.name} is not in the map`)
    if (chosen.size > 1) throw nobody(`the claim ${claim} of ${purpose.caller.name} means more than one identity`)
    return id
  }
  return { isPerCaller: () => true, keyOf: principalOf, of: principalOf }
}
