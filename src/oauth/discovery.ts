import {
  type AuthorizationServer,
  allowInsecureRequests,
  customFetch,
  discoveryRequest,
  processDiscoveryResponse,
} from 'oauth4webapi'
import { Problem } from '../core/problem.ts'
import { faultOfIssuerUrl } from '../forms/issuer-url.ts'
import { parseJsonObject } from '../wire/json-object.ts'
import { exchange, type IssuerRoute } from './exchange.ts'

export type { AuthorizationServer } from 'oauth4webapi'

/** Whose metadata, and how to get there. */
export interface DiscoveryRequest {
  /** Compared with the metadata's own `issuer` letter by letter, final slash included. */
  readonly issuer: string
  readonly route: IssuerRoute
  readonly signal: AbortSignal
  /** The endpoint may be http://. */
  readonly plaintext: boolean
}

/**
 * Reads where an authorization server keeps its token endpoint: first the OAuth well-known place, then that of OpenID.
 * @throws Problem `credential-unavailable`, `credential-failed`
 * @see RFC 8414 section 3, OpenID Connect Discovery 1.0 section 4
 */
export async function discover(request: DiscoveryRequest): Promise<AuthorizationServer> {
  const { host } = new URL(request.issuer)
  for (const algorithm of ['oauth2', 'oidc'] as const) {
    const response = await discoveryRequest(new URL(request.issuer), {
      algorithm,
      [allowInsecureRequests]: true,
      [customFetch]: (url, { headers }) => fetchMetadata(request, new URL(url), headers),
    })
    if (response.status === 200) return accepted(await conform(request, response, host), request, host)
  }
  throw unusable(`${host} publishes no authorization server metadata`)
}

async function fetchMetadata({ route, signal }: DiscoveryRequest, url: URL, headers: Record<string, string>) {
  const { status, body } = await exchange(route, { url, method: 'GET', headers, signal })
  if (status >= 500 || status === 429 || status === 408) {
    throw new Problem('credential-unavailable', {
      reason: `${url.host} answered ${status} when asked for its metadata`,
    })
  }
  if (status !== 200) return new Response(null, { status: 404 })
  const members = parseJsonObject(body)
  if (!members) throw unusable(`${url.host} sent metadata that is not a JSON object`)
  return Response.json(Object.fromEntries(members))
}

/** The library's errors carry the whole answer; only that there was one is kept. */
async function conform({ issuer }: DiscoveryRequest, response: Response, host: string): Promise<AuthorizationServer> {
  return processDiscoveryResponse(new URL(issuer), response).catch((): never => {
    throw unusable(`${host} sent metadata of another issuer, or none that is conform to RFC 8414`)
  })
}

function accepted(
  server: AuthorizationServer,
  { issuer, plaintext }: DiscoveryRequest,
  host: string,
): AuthorizationServer {
  if (server.issuer !== issuer) throw unusable(`the metadata of ${host} spells the issuer otherwise than the settings`)
  const endpoint = server.token_endpoint
  const { mtls_endpoint_aliases: aliases } = server
  const all = [endpoint, ...(aliases?.token_endpoint === undefined ? [] : [aliases.token_endpoint])]
  if (all.some((one) => typeof one !== 'string' || faultOfIssuerUrl(one, { plaintext }) !== undefined)) {
    throw unusable(`the metadata of ${host} names no token endpoint that may be used`)
  }
  return server
}

function unusable(reason: string): Problem {
  return new Problem('credential-failed', { reason, retryAfter: 1 })
}
