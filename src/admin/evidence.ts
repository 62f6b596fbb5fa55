import type { Evidence, Fields, Peer } from '../core/ask.ts'
import { Secret } from '../core/secret.ts'
import { valuesOf } from '../wire/fields.ts'

/**
 * What an operator shows: a key or a token as `Authorization: Bearer`, which can only be meant for us, or the process that
 * the kernel names at the other end of a Unix socket.
 */
export function evidenceOf(fields: Fields, peer: Peer | undefined): Evidence {
  const [value, ...others] = valuesOf(fields, 'authorization')
  if (value === undefined) return { keys: [], keysAre: 'certain', peer }
  const [, token] = /^Bearer +(\S+)$/i.exec(value) ?? []
  // Two proofs at once may name two operators.
  if (token === undefined || others.length > 0) return { keys: [], keysAre: 'certain', peer, unreadable: true }
  return { keys: [{ key: new Secret(token) }], keysAre: 'certain', peer }
}
