import { Problem } from '../core/problem.ts'
import type { Kind } from '../forms/kind.ts'
import { z } from '../forms/zod.ts'
import type { Injection } from './injection.ts'

const schema = z
  .strictObject({
    kind: z.literal('basic'),
    user: z
      .string()
      .regex(/^[ -9;-~]*$/, 'use visible ASCII without ":"')
      .optional()
      .meta({ description: 'user name; without it, the one that the credential brings, or the empty one' }),
  })
  .meta({ description: '`Authorization: Basic base64(user:CREDENTIAL)` (RFC 7617)' })

/** @see RFC 7617 section 2 */
export const basic: Kind<typeof schema, undefined, Injection> = {
  schema,
  build: ({ user }) => ({
    slot: { in: 'header', name: 'Authorization', prefix: 'Basic ' },
    inject: ({ fields, query }, credential) => {
      const pair = `${user ?? credential.user ?? ''}:${printable(credential.secret.reveal())}`
      return { fields: [...fields, 'Authorization', `Basic ${Buffer.from(pair).toString('base64')}`], query }
    },
  }),
}

/** RFC 7617 forbids control characters, and leaves the encoding of anything beyond ASCII open. */
function printable(password: string): string {
  if (/^[ -~]+$/.test(password)) return password
  throw new Problem('credential-failed', {
    reason: 'the credential has a byte that no Basic password may have, or is empty',
  })
}
