import { z } from '../../forms/zod.ts'
import { bySecret } from './by-secret.ts'
import type { ClientAuthKind } from './client-auth.ts'
import { basicOf, printable } from './secret-text.ts'

const schema = z.strictObject({ kind: z.literal('header-and-body') }).meta({
  description: 'the client secret in both places at once, which strict servers refuse (RFC 6749 section 2.3)',
})

/** The default of Unity Catalog connections. */
export const headerAndBody: ClientAuthKind<typeof schema> = {
  schema,
  showsSecret: true,
  build: (_settings, tools) =>
    bySecret(tools, (secret) => {
      const basic = basicOf(tools.clientId, secret, tools.basicEncoding)
      const text = printable(secret)
      return (_server, client, parameters, headers) => {
        headers.set('authorization', basic)
        parameters.set('client_id', client.client_id)
        parameters.set('client_secret', text)
      }
    }),
}
