import { z } from '../../forms/zod.ts'
import { bySecret } from './by-secret.ts'
import type { ClientAuthKind } from './client-auth.ts'
import { basicOf } from './secret-text.ts'

const schema = z
  .strictObject({ kind: z.literal('header') })
  .meta({ description: 'the client secret in `Authorization: Basic` (client_secret_basic)' })

/** @see RFC 6749 section 2.3.1 */
export const header: ClientAuthKind<typeof schema> = {
  schema,
  showsSecret: true,
  build: (_settings, tools) =>
    bySecret(tools, (secret) => {
      const basic = basicOf(tools.clientId, secret, tools.basicEncoding)
      return (_server, _client, _body, headers) => headers.set('authorization', basic)
    }),
}
