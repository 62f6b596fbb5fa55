import { Problem } from '../core/problem.ts'
import { z } from '../forms/zod.ts'

/** A user name as HTTP Basic takes it. */
export const basicUser = z.string().regex(/^[ -9;-~]*$/, 'use visible ASCII without ":"')

/**
 * The value of an Authorization field. RFC 7617 forbids control characters, and leaves the encoding of anything beyond ASCII open.
 * @throws Problem `credential-failed`
 * @see RFC 7617 section 2
 */
export function basicValue(user: string, password: string): string {
  if (/^[ -~]+$/.test(password)) return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  throw new Problem('credential-failed', {
    reason: 'the credential has a byte that no Basic password may have, or is empty',
  })
}
