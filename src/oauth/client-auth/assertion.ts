import { z } from '../../forms/zod.ts'
import { secretReference } from '../../secrets/registry.ts'

/** What a client shows instead of a secret. @see RFC 7523 section 2.2 */
export function showAssertion(parameters: URLSearchParams, clientId: string, assertion: string): void {
  parameters.set('client_id', clientId)
  parameters.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
  parameters.set('client_assertion', assertion)
}

/** A token that a platform renews is in a file; anything else would stand still until it has expired. */
export const workloadToken = secretReference.refine(
  ({ settings }) => Object.hasOwn(settings, 'file'),
  'use { file: PATH }, which the platform keeps writing anew',
)

const NAMED = new Set(['token-endpoint', 'issuer'])

/** For whom an assertion is. */
export const assertionAudience = z
  .string()
  .refine(
    (text) => NAMED.has(text) || (URL.canParse(text) && !/\s/.test(text)),
    'use token-endpoint, issuer, or a URL as the authorization server spells it',
  )
