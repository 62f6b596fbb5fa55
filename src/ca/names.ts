import { isIP } from 'node:net'
import { canonicalAddress } from '../wire/address.ts'

/** The address that a host is, in its one spelling and without brackets; undefined where it is a name. */
export function addressOf(host: string): string | undefined {
  const literal = host.replace(/^\[|\]$/g, '')
  return isIP(literal) === 0 ? undefined : canonicalAddress(literal)
}

/** A host or a pattern in the spelling that tables and caches go by. */
export function spellingOf(host: string): string {
  return addressOf(host) ?? host
}
