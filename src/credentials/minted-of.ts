import type { Granted } from '../oauth/endpoint.ts'
import type { Minted } from './mint.ts'
import { type LifetimeLimits, lifetimeOf } from './token-lifetime.ts'

/** What a token endpoint has granted, as a token to be kept. */
export function mintedOf(granted: Granted, settings: LifetimeLimits & { readonly scope?: string | undefined }): Minted {
  const { accessToken, sentAt, expiresIn, scope, behind, boundTo, isGood } = granted
  const token = { accessToken: accessToken.reveal(), expiresIn, sentAt: sentAt.wall }
  const narrower = isNarrower(scope, settings.scope)
    ? ['the issuer granted less than the scope that was asked for']
    : []
  const warnings = [...(granted.warnings ?? []), ...narrower]
  const origin = { ...(behind && { behind }), ...(boundTo && { boundTo }), ...(isGood && { isGood }) }
  return { secret: accessToken, sentAt, lifetimeMs: lifetimeOf(token, settings), warnings, ...origin }
}

/** These ask for an ID token and a refresh token, and are no scope of an API; Entra answers with what the last one stands for. */
const NEVER_NAMED = /^(?:openid|offline_access)$|\/\.default$/

/** An issuer may drop scopes in silence; the upstream is who refuses then, so that an operator had better be told. */
function isNarrower(granted: string | undefined, asked: string | undefined): boolean {
  if (granted === undefined || asked === undefined) return false
  // GitHub and Slack put commas between them.
  const names = new Set(granted.split(/[ ,]+/))
  return asked.split(/[ ,]+/).some((name) => name !== '' && !NEVER_NAMED.test(name) && !names.has(name))
}
