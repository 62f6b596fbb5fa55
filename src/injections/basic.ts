import type { Kind } from '../forms/kind.ts'
import { z } from '../forms/zod.ts'
import { basicUser, basicValue } from './basic-value.ts'
import type { Injection } from './injection.ts'

const schema = z
  .strictObject({
    kind: z.literal('basic'),
    user: basicUser
      .optional()
      .meta({ description: 'user name; without it, the one that the credential brings, or the empty one' }),
  })
  .meta({ description: '`Authorization: Basic base64(user:CREDENTIAL)` (RFC 7617)' })

/** @see RFC 7617 section 2 */
export const basic: Kind<typeof schema, undefined, Injection> = {
  schema,
  build: ({ user }) => ({
    slots: [{ in: 'header', name: 'Authorization', prefix: 'Basic ' }],
    inject: ({ fields, query }, credential) => ({
      fields: [...fields, 'Authorization', basicValue(user ?? credential.user ?? '', credential.secret.reveal())],
      query,
    }),
  }),
}
