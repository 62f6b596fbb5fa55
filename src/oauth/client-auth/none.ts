import { z } from '../../forms/zod.ts'
import type { ClientAuthKind } from './client-auth.ts'

const schema = z
  .strictObject({ kind: z.literal('none') })
  .meta({ description: 'a public client: its id alone, as a parameter of the body' })

/** @see RFC 6749 section 3.2.1 */
export const none: ClientAuthKind<typeof schema> = {
  schema,
  showsSecret: false,
  build: () => ({
    presentations: () => [
      {
        authenticate(_server, client, parameters) {
          parameters.set('client_id', client.client_id)
        },
      },
    ],
    version: () => 0,
  }),
}
