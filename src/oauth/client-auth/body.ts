import { z } from '../../forms/zod.ts'
import { bySecret } from './by-secret.ts'
import type { ClientAuthKind } from './client-auth.ts'
import { printable } from './secret-text.ts'

const schema = z
  .strictObject({ kind: z.literal('body') })
  .meta({ description: 'the client secret as a parameter of the body (client_secret_post)' })

/** @see RFC 6749 section 2.3.1 */
export const body: ClientAuthKind<typeof schema> = {
  schema,
  showsSecret: true,
  build: (_settings, tools) =>
    bySecret(tools, (secret) => {
      const text = printable(secret)
      return (_server, client, parameters) => {
        parameters.set('client_id', client.client_id)
        parameters.set('client_secret', text)
      }
    }),
}
