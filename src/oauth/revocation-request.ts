import {
  type AuthorizationServer,
  allowInsecureRequests,
  type ClientAuth,
  customFetch,
  revocationRequest,
} from 'oauth4webapi'
import type { Clock } from '../core/clock.ts'
import { Problem } from '../core/problem.ts'
import type { Secret } from '../core/secret.ts'
import { faultOfIssuerUrl } from '../forms/issuer-url.ts'
import { readRevocationAnswer } from './answer.ts'
import { exchange, type IssuerRoute } from './exchange.ts'

/** @see RFC 7009 section 2.1 */
export type TokenTypeHint = 'refresh_token' | 'access_token'

/** One request to end a token. */
export interface RevocationRequest {
  /** With its `revocation_endpoint`. */
  readonly server: AuthorizationServer
  readonly clientId: string
  readonly authenticate: ClientAuth
  readonly token: Secret
  readonly hint: TokenTypeHint
  readonly route: IssuerRoute
  readonly clock: Clock
  /** Ends the exchange wherever it stands. */
  readonly signal: AbortSignal
}

/**
 * Asks once. The protocol is the library's, and the answer is read here, as those of a token endpoint are.
 * @throws Problem `credential-unavailable`, `credential-failed`
 * @see RFC 7009 section 2
 */
export async function requestRevocation(request: RevocationRequest): Promise<void> {
  const { server, clientId, authenticate, token, hint, route, clock, signal } = request
  await revocationRequest(server, { client_id: clientId }, authenticate, token.reveal(), {
    [allowInsecureRequests]: true,
    [customFetch]: async (text, { headers, body }) => {
      const url = new URL(text)
      const answer = await exchange(route, { url, method: 'POST', headers, body: String(body), signal })
      readRevocationAnswer(answer, { host: url.host, now: clock.now() })
      return new Response()
    },
    additionalParameters: { token_type_hint: hint },
    signal,
  })
}

interface Terms {
  /** By the settings, which know better than the metadata. */
  readonly named: string | undefined
  /** Clients that show a certificate on the connection are to ask elsewhere, where the metadata say so. @see RFC 8705 section 5 */
  readonly isAlias: boolean
  /** The endpoint may be http://. */
  readonly plaintext: boolean
}

/**
 * The server with the place where tokens are revoked; undefined where nobody knows of one.
 * @throws Problem `credential-failed` where the metadata name one that may not be used
 * @see RFC 8414 section 2
 */
export function withRevocationEndpoint(
  server: AuthorizationServer,
  { named, isAlias, plaintext }: Terms,
): AuthorizationServer | undefined {
  const { revocation_endpoint: own, mtls_endpoint_aliases: aliases } = server
  const found: unknown = named ?? (isAlias ? aliases?.revocation_endpoint : undefined) ?? own
  if (found === undefined) return undefined
  if (typeof found === 'string' && faultOfIssuerUrl(found, { plaintext }) === undefined)
    return { ...server, revocation_endpoint: found }
  const { host } = new URL(server.issuer)
  throw new Problem('credential-failed', {
    reason: `the metadata of ${host} name no revocation endpoint that may be used`,
  })
}
