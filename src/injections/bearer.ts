import type { Kind } from '../forms/kind.ts'
import { z } from '../forms/zod.ts'
import { headerValue } from './header-value.ts'
import type { Injection } from './injection.ts'

const schema = z
  .strictObject({ kind: z.literal('bearer') })
  .meta({ description: '`Authorization: Bearer CREDENTIAL` (RFC 6750)' })

/** @see RFC 6750 section 2.1 */
export const bearer: Kind<typeof schema, undefined, Injection> = {
  schema,
  build: () => ({
    slots: [{ in: 'header', name: 'Authorization', prefix: 'Bearer ' }],
    inject: ({ fields, query }, { secret }) => ({
      fields: [...fields, 'Authorization', headerValue(`Bearer ${secret.reveal()}`)],
      query,
    }),
  }),
}
