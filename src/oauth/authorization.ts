import { createHash, randomBytes } from 'node:crypto'
import type { AuthorizationServer } from 'oauth4webapi'
import { Problem } from '../core/problem.ts'
import { Secret } from '../core/secret.ts'
import { faultOfIssuerUrl } from '../forms/issuer-url.ts'

/** What an authorization request says, besides what protects it. */
export interface AuthorizationWish {
  readonly server: AuthorizationServer
  readonly clientId: string
  readonly redirectUri: string
  readonly scope: string | undefined
  /** As they are. */
  readonly parameters: Readonly<Record<string, string>>
  /** The endpoint may be http://. */
  readonly plaintext: boolean
}

/** A request that a browser is to be sent to. `verifier` stays here. */
export interface AuthorizationRequest {
  readonly url: string
  readonly state: string
  readonly verifier: Secret
}

/** What is set here and nowhere else. */
export const AUTHORIZATION_RESERVED = [
  'response_type',
  'response_mode',
  'client_id',
  'redirect_uri',
  'scope',
  'state',
  'code_challenge',
  'code_challenge_method',
  'request',
  'request_uri',
]

/**
 * Makes the request for a code: PKCE by S256, and a state that nobody can guess.
 * @throws Problem `credential-failed`
 * @see RFC 6749 section 4.1.1, RFC 7636 section 4.3
 */
export function authorizationRequest(wish: AuthorizationWish): AuthorizationRequest {
  const url = endpointOf(wish)
  const state = randomBytes(32).toString('base64url')
  const verifier = randomBytes(32).toString('base64url')
  const own = {
    response_type: 'code',
    client_id: wish.clientId,
    redirect_uri: wish.redirectUri,
    ...(wish.scope !== undefined && { scope: wish.scope }),
    state,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  }
  for (const [name, value] of Object.entries({ ...wish.parameters, ...own })) url.searchParams.set(name, value)
  return { url: url.href, state, verifier: new Secret(verifier) }
}

function endpointOf({ server, plaintext }: AuthorizationWish): URL {
  const { authorization_endpoint: endpoint, code_challenge_methods_supported: methods } = server
  if (typeof endpoint !== 'string' || faultOfIssuerUrl(endpoint, { plaintext }) !== undefined)
    throw failed(
      'the metadata of the issuer name no authorization endpoint that may be used: set authorizationEndpoint',
    )
  if (Array.isArray(methods) && !methods.includes('S256'))
    throw failed('the issuer does not take PKCE by S256, without which a code could be stolen')
  return new URL(endpoint)
}

/** Against what an answer is held. */
export interface AuthorizationExpectation {
  readonly server: AuthorizationServer
  /** The issuer of the settings; undefined: they name endpoints alone, and there is nothing to compare `iss` with. */
  readonly issuer: string | undefined
  readonly redirectUri: string
}

/**
 * The code in an answer whose state has been found right. `iss` is compared before anything else of it is used.
 * @throws Problem `credential-failed`, in words of our own
 * @see RFC 6749 section 4.1.2, RFC 9207 section 2.4
 */
export function codeIn(answer: URLSearchParams, expected: AuthorizationExpectation): Secret {
  const { server, issuer, redirectUri } = expected
  const iss = only(answer, 'iss')
  if (issuer !== undefined && iss !== undefined && iss !== issuer)
    throw failed('the answer is of another issuer than the one that was asked')
  if (iss === undefined && server.authorization_response_iss_parameter_supported === true)
    throw failed('the answer does not say which issuer it is of, and this issuer always says that')
  const error = only(answer, 'error')
  if (error !== undefined) throw failed(wordsOf(error, redirectUri))
  const code = only(answer, 'code')
  if (code === undefined || code === '') throw failed('the answer has no code in it')
  return new Secret(code)
}

function only(answer: URLSearchParams, name: string): string | undefined {
  const values = answer.getAll(name)
  if (values.length > 1) throw failed(`the answer has ${name} more than once`)
  return values[0]
}

/** @see RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6; two of Google's that are no standard */
const WORDS: Readonly<Record<string, string>> = {
  access_denied: 'the consent was refused there (access_denied)',
  admin_policy_enforced:
    'an administrator of the issuer does not let this client have what it asks for (admin_policy_enforced): have the client allowed there',
  consent_required:
    'the issuer wants to ask for consent (consent_required): leave prompt out of authorizationParams, or set it to consent',
  interaction_required:
    'the issuer wants to ask something (interaction_required): leave prompt out of authorizationParams',
  invalid_request:
    'the issuer does not take the request as it is (invalid_request): compare authorizationParams with what it documents',
  invalid_scope:
    'the issuer does not know the scope, or does not give it to this client (invalid_scope): compare `scope` with what is registered there',
  invalid_target: 'the issuer does not know the resource (invalid_target): compare `resource` in authorizationParams',
  login_required: 'nobody is logged in at the issuer (login_required): leave prompt out of authorizationParams',
  server_error: 'the issuer has failed (server_error): try again',
  temporarily_unavailable: 'the issuer is busy (temporarily_unavailable): try again later',
  unauthorized_client:
    'this client may not ask for codes (unauthorized_client): allow it the grant type authorization_code there',
  unsupported_response_type: 'the issuer gives no codes (unsupported_response_type)',
}

/** An error that is not known is an issuer's text like any other. */
function wordsOf(error: string, redirectUri: string): string {
  if (error === 'redirect_uri_mismatch')
    return `the issuer does not know our redirect URI (redirect_uri_mismatch): register exactly ${redirectUri} there`
  return (Object.hasOwn(WORDS, error) && WORDS[error]) || 'the issuer refused, for a reason that is in no standard'
}

function failed(reason: string): Problem {
  return new Problem('credential-failed', { reason })
}
