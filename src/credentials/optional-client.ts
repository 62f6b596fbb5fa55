import { z } from '../forms/zod.ts'
import { clientAuthSettings } from '../oauth/client-auth/registry.ts'
import type { EndpointSettings } from '../oauth/endpoint-settings.ts'

/** In place of those of `endpointFields`, where the token that is shown may say enough. */
export const optionalClientFields = {
  clientId: z
    .string()
    .regex(/^[\x20-\x7e]*$/, 'use printable ASCII')
    .default('')
    .meta({
      description:
        'the id under which the authorization server knows this client; without it the request names none, which may mean another identity there',
    }),
  clientAuth: clientAuthSettings
    .prefault('none')
    .meta({ description: 'how the client proves who it is, as elsewhere; `none` unless said otherwise' }),
}

/** Who the client of a request is: nobody, where none is named. */
export function clientOf(clientId: string): { readonly clientId: string } | { readonly isAnonymous: true } {
  return clientId === '' ? { isAnonymous: true } : { clientId }
}

/** What is wrong with them taken together. */
export function faultsOfOptionalClient({ clientId, clientAuth }: Pick<EndpointSettings, 'clientId' | 'clientAuth'>) {
  if (clientId !== '' || clientAuth.kind === 'none') return []
  return [{ path: ['clientId'], message: `add it: clientAuth ${clientAuth.kind} proves a client` }]
}
