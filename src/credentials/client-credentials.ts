import { z } from '../forms/zod.ts'
import { TokenEndpoint } from '../oauth/endpoint.ts'
import { endpointFields, faultsOfEndpoint } from '../oauth/endpoint-settings.ts'
import { MintedSupply } from './cache.ts'
import { mintedOf } from './minted-of.ts'
import { lifetimeFields } from './token-lifetime.ts'
import { mintageOf, type SourceKind } from './tools.ts'

const schema = z
  .strictObject({ kind: z.literal('client-credentials'), ...endpointFields, ...lifetimeFields })
  .superRefine((settings, context) => {
    for (const { path, message } of faultsOfEndpoint(settings)) context.addIssue({ code: 'custom', path, message })
  })
  .meta({
    description: 'tokens minted with the client’s own credentials (RFC 6749 section 4.4), refreshed before they expire',
  })

/** Tokens that the client gets by its own credentials. @see RFC 6749 section 4.4 */
export const clientCredentials: SourceKind<typeof schema> = {
  schema,
  build(settings, tools) {
    const endpoint = new TokenEndpoint(settings, tools)
    return new MintedSupply({
      mint: async () => mintedOf(await endpoint.request({ grantType: 'client_credentials' }), settings),
      secretVersion: () => endpoint.secretVersion(),
      ...mintageOf(tools),
    })
  },
}
