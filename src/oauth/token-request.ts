import {
  type AuthorizationServer,
  allowInsecureRequests,
  type ClientAuth,
  customFetch,
  genericTokenEndpointRequest,
  processGenericTokenEndpointResponse,
} from 'oauth4webapi'
import type { Clock } from '../core/clock.ts'
import type { Moment } from '../core/moment.ts'
import { Problem } from '../core/problem.ts'
import { Secret } from '../core/secret.ts'
import { readTokenAnswer, type TokenFields } from './answer.ts'
import type { DpopKey } from './dpop.ts'
import { exchange, type IssuerRoute } from './exchange.ts'

/** One request for a token. */
export interface TokenRequest {
  readonly server: AuthorizationServer
  readonly clientId: string
  readonly authenticate: ClientAuth
  readonly grantType: string
  /** Sent as they are, besides grant_type and what authenticates the client. */
  readonly parameters: URLSearchParams
  /** Types of token that can be used, lower case. */
  readonly tokenTypes: readonly string[]
  /** What the token is to be bound to. */
  readonly boundTo?: DpopKey | undefined
  readonly route: IssuerRoute
  readonly clock: Clock
  /** Ends the exchange wherever it stands. */
  readonly signal: AbortSignal
}

/** What came back. */
export interface TokenGrant {
  readonly accessToken: Secret
  /** `bearer`, or another one of the types that could be used. */
  readonly tokenType: string
  /** Taken before the request left. */
  readonly sentAt: Moment
  /** Seconds, as the issuer said; at least 0. */
  readonly expiresIn: number | undefined
  /** As the issuer said; absent means: as requested, or nothing at all. */
  readonly scope: string | undefined
  readonly refreshToken: Secret | undefined
  /** Seconds that the refresh token lives, where the issuer said so. */
  readonly refreshExpiresIn?: number | undefined
  /** Of a token exchange: what was issued. */
  readonly issuedTokenType: string | undefined
}

/**
 * Asks a token endpoint, once. The protocol is the library's; what it is shown has been judged and put in order before,
 * since it throws away an error's code behind a challenge, and stumbles over nulls, 201 and a 200 that is an error.
 * Whether http:// is allowed was decided when the settings and the metadata were read.
 * @throws Problem `credential-unavailable`, `credential-failed`
 * @see RFC 6749 section 5
 */
export async function requestToken(request: TokenRequest): Promise<TokenGrant> {
  const { server, clientId, authenticate, grantType, parameters, clock, signal } = request
  const client = { client_id: clientId }
  const sentAt = { wall: clock.now(), monotonic: clock.monotonic() }
  let fields: TokenFields | undefined
  const response = await genericTokenEndpointRequest(server, client, authenticate, grantType, parameters, {
    [allowInsecureRequests]: true,
    [customFetch]: async (url, { headers, body }) => {
      fields = await fetchToken(request, { url, headers, body: String(body) })
      return Response.json(fields)
    },
    signal,
  })
  const types = Object.fromEntries(request.tokenTypes.map((type) => [type, () => undefined]))
  const granted = await processGenericTokenEndpointResponse(server, client, response, {
    recognizedTokenTypes: types,
  }).catch(forgetCause)
  return {
    accessToken: new Secret(granted.access_token),
    tokenType: granted.token_type,
    sentAt,
    expiresIn: granted.expires_in,
    scope: granted.scope,
    refreshToken: granted.refresh_token === undefined ? undefined : new Secret(granted.refresh_token),
    refreshExpiresIn: fields?.refresh_token_expires_in,
    issuedTokenType: fields?.issued_token_type,
  }
}

interface Sending {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

async function fetchToken({ route, clock, signal, tokenTypes: types, boundTo }: TokenRequest, sending: Sending) {
  const url = new URL(sending.url)
  const { body } = sending
  const proof = boundTo && { dpop: boundTo.prove({ method: 'POST', url: url.href }) }
  const headers = { ...sending.headers, ...proof }
  const answer = await exchange(route, { url, method: 'POST', headers, body, signal })
  boundTo?.learn(url.href, answer.dpopNonce)
  return readTokenAnswer(answer, { host: url.host, now: clock.now(), types })
}

/** The library's errors carry the whole answer, token included. */
function forgetCause(): never {
  throw new Problem('credential-failed', { reason: 'the token answer is not conform to RFC 6749', retryAfter: 1 })
}
