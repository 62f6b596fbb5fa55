import {
  type AuthorizationServer,
  allowInsecureRequests,
  type ClientAuth,
  clientCredentialsGrantRequest,
  customFetch,
  processClientCredentialsResponse,
} from 'oauth4webapi'
import type { Clock } from '../core/clock.ts'
import { Problem } from '../core/problem.ts'
import { Secret } from '../core/secret.ts'
import { exchange, type IssuerRoute } from './issuer-exchange.ts'
import type { Moment } from './mint.ts'
import { readTokenAnswer } from './token-answer.ts'

/** One request for a token with the client's own credentials. */
export interface TokenRequest {
  readonly server: AuthorizationServer
  readonly clientId: string
  readonly authenticate: ClientAuth
  /** Sent as they are, besides grant_type and what authenticates the client. */
  readonly parameters: URLSearchParams
  readonly route: IssuerRoute
  readonly clock: Clock
  /** Ends the exchange wherever it stands. */
  readonly signal: AbortSignal
}

/** What came back. */
export interface TokenGrant {
  readonly accessToken: Secret
  /** Taken before the request left. */
  readonly sentAt: Moment
  /** Seconds, as the issuer said; at least 0. */
  readonly expiresIn: number | undefined
  /** As the issuer said; absent means: as requested, or nothing at all. */
  readonly scope: string | undefined
}

/**
 * Asks a token endpoint, once. The protocol is the library's; what it is shown has been judged and put in order before,
 * since it throws away an error's code behind a challenge, and stumbles over nulls, 201 and a 200 that is an error.
 * Whether http:// is allowed was decided when the settings and the metadata were read.
 * @throws Problem `credential-unavailable`, `credential-failed`
 * @see RFC 6749 section 4.4
 */
export async function requestToken({ server, clientId, authenticate, ...request }: TokenRequest): Promise<TokenGrant> {
  const client = { client_id: clientId }
  const sentAt = { wall: request.clock.now(), monotonic: request.clock.monotonic() }
  const response = await clientCredentialsGrantRequest(server, client, authenticate, request.parameters, {
    [allowInsecureRequests]: true,
    [customFetch]: (url, { headers, body }) => fetchToken(request, { url, headers, body: String(body) }),
    signal: request.signal,
  })
  const granted = await processClientCredentialsResponse(server, client, response).catch(forgetCause)
  return { accessToken: new Secret(granted.access_token), sentAt, expiresIn: granted.expires_in, scope: granted.scope }
}

interface Sending {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

async function fetchToken(
  { route, clock, signal }: Pick<TokenRequest, 'route' | 'clock' | 'signal'>,
  sending: Sending,
) {
  const url = new URL(sending.url)
  const { headers, body } = sending
  const answer = await exchange(route, { url, method: 'POST', headers, body, signal })
  return Response.json(readTokenAnswer(answer, url.host, clock.now()))
}

/** The library's errors carry the whole answer, token included. */
function forgetCause(): never {
  throw new Problem('credential-failed', { reason: 'the token answer is not conform to RFC 6749', retryAfter: 1 })
}
