import type { Evidence, Fields } from '../core/ask.ts'
import { Secret } from '../core/secret.ts'
import { valuesOf } from '../wire/fields.ts'

/**
 * What an operator shows: a key or a token as `Authorization: Bearer`, which can only be meant for us, or the process that
 * the kernel names at the other end of a Unix socket.
 */
export function evidenceOf(fields: Fields, { peer, address }: Pick<Evidence, 'peer' | 'address'>): Evidence {
  const where = { keysAre: 'certain', peer, address } as const
  const [value, ...others] = valuesOf(fields, 'authorization')
  if (value === undefined) return { ...where, keys: [] }
  const [, token] = /^Bearer +(\S+)$/i.exec(value) ?? []
  // Two proofs at once may name two operators.
  if (token === undefined || others.length > 0) return { ...where, keys: [], unreadable: true }
  return { ...where, keys: [{ key: new Secret(token) }] }
}
