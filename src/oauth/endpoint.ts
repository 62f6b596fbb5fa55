import type { SecureContext } from 'node:tls'
import type { AuthorizationServer } from 'oauth4webapi'
import type { Clock } from '../core/clock.ts'
import { Problem } from '../core/problem.ts'
import type { LongLived, Secret } from '../core/secret.ts'
import { toBlockList } from '../forms/network.ts'
import type { References } from '../secrets/reference.ts'
import type { Dialer } from '../wire/dial.ts'
import { trustShowing } from '../wire/trust.ts'
import { Turns } from '../wire/turns.ts'
import type { ClientProof, Presentation } from './client-auth/client-auth.ts'
import { buildClientProof } from './client-auth/registry.ts'
import { slotsOf } from './client-secret.ts'
import { discover } from './discovery.ts'
import { DpopKey } from './dpop.ts'
import { type EndpointSettings, urlOf } from './endpoint-settings.ts'
import type { IssuerRoute } from './exchange.ts'
import { IssuerRefusal } from './refusal.ts'
import { requestRevocation, type TokenTypeHint, withRevocationEndpoint } from './revocation-request.ts'
import { requestToken, type TokenGrant } from './token-request.ts'

/** What an endpoint is built with. */
export interface EndpointTools extends References {
  readonly clock: Clock
  readonly dialer: Dialer
}

/** What is asked for. */
export interface GrantRequest {
  readonly grantType: string
  /** Besides scope and `tokenParams` of the settings, which a pair of the same name replaces. */
  readonly parameters?: readonly (readonly [name: string, value: string])[]
  /** In place of that of the settings. */
  readonly clientId?: string
  /** Names no client and proves none: the token that is shown says enough. */
  readonly isAnonymous?: boolean
  /** Types of token that can be used, lower case; Bearer alone without it. With `dpop` it is DPoP alone, whatever this says. */
  readonly tokenTypes?: readonly string[]
}

/** What came back, and the long-lived secret that it was had with. */
export interface Granted extends TokenGrant {
  readonly behind?: LongLived
  /** The key that the token is bound to. */
  readonly boundTo?: DpopKey
  /** What an operator should know although it went well. Our own words. */
  readonly warnings?: readonly string[]
  /** False once the client shows another certificate: the token may be bound to the one before. */
  readonly isGood?: () => boolean
}

/** A token that is to end before its time. */
export interface Unwanted {
  readonly token: Secret
  readonly hint: TokenTypeHint
  /** In place of the one that the metadata name. */
  readonly revocationEndpoint?: string | undefined
  /** Ends the wait for its turn, and nothing that was begun. */
  readonly ending?: AbortSignal | undefined
}

/**
 * At one issuer at a time: where it does not answer to them, a thousand logouts must not take all the exchanges that may be
 * under way with it, and keep everybody from their tokens for as long.
 */
const REVOCATIONS_AT_ONCE = 4
const revocations = new Turns(REVOCATIONS_AT_ONCE)

const ANONYMOUS: readonly Presentation[] = [{ authenticate: () => undefined }]
/** The library wants an id, also of a client that is not named. */
const NOBODY = 'nobody'

/** The token endpoint of an authorization server, and the client that we are to it. Any number of requests at once. */
export class TokenEndpoint {
  readonly #settings: EndpointSettings
  readonly #clock: Clock
  readonly #way: Omit<IssuerRoute, 'trust'>
  /** With what the client shows of itself at this moment. */
  readonly #trust: () => SecureContext
  readonly #proof: ClientProof
  readonly #boundTo: DpopKey | undefined
  /** Kept while it serves: the next request after one that failed reads it anew, in case the endpoint has moved. */
  #metadata: AuthorizationServer | undefined

  constructor(settings: EndpointSettings, tools: EndpointTools) {
    const { tls, allowPrivate, timeoutMs, clientAuth, clientId, basicEncoding } = settings
    this.#settings = settings
    this.#clock = tools.clock
    this.#boundTo = settings.dpop && new DpopKey(settings.dpop, tools.clock)
    this.#way = { dialer: tools.dialer, allowPrivate: toBlockList(allowPrivate), timeoutMs }
    this.#trust = trustShowing(tls.ca && tools.file(tls.ca), () => this.#proof.identity?.())
    const secret: References['secret'] = (wanted) => tools.secret(wanted)
    const clientSecret = settings.clientSecret && slotsOf(settings.clientSecret, { secret })
    const file: References['file'] = (wanted) => tools.file(wanted)
    this.#proof = buildClientProof(clientAuth, {
      secret,
      file,
      clock: tools.clock,
      clientId,
      basicEncoding,
      clientSecret,
    })
  }

  /** Of what the client proves itself with: it grows with each change. */
  secretVersion(): number {
    return this.#proof.version()
  }

  /** What the server says of itself, as far as the settings leave that to it. @throws Problem, and nothing was asked for then */
  async metadata(): Promise<AuthorizationServer> {
    this.#metadata = await this.#locate(AbortSignal.timeout(this.#settings.timeoutMs))
    return this.#metadata
  }

  /**
   * Asks for a token, once; once more for each other secret that there is, if the client is not known by the first.
   * @throws Problem `credential-unavailable`; `credential-failed`, as an `IssuerRefusal` where the issuer has said no
   */
  async request(request: GrantRequest): Promise<Granted> {
    const signal = AbortSignal.timeout(this.#settings.timeoutMs)
    const server = await this.#locate(signal)
    this.#metadata = undefined
    const granted = await this.#presentWithNonce(request, server, signal)
    this.#metadata = server
    return granted
  }

  /**
   * Asks the issuer to end a token, proving who we are as for a new one. Undefined: nobody knows where it would do that.
   * `warning`: what an operator should know although it went well. The time for it begins with its turn.
   * @throws Problem as `request` does; the reason of `ending`
   * @see RFC 7009 section 2.1
   */
  async revoke(unwanted: Unwanted): Promise<{ readonly warning?: string } | undefined> {
    const done = await revocations.take(urlOf(this.#settings).origin, unwanted.ending)
    try {
      return await this.#revoke(unwanted)
    } finally {
      done()
    }
  }

  async #revoke({ token, hint, revocationEndpoint }: Unwanted): Promise<{ readonly warning?: string } | undefined> {
    const { timeoutMs, clientId, unsafeAllowPlaintextIssuer: plaintext } = this.#settings
    const signal = AbortSignal.timeout(timeoutMs)
    const found = await this.#locate(signal)
    const isAlias = this.#proof.identity !== undefined
    const server = withRevocationEndpoint(found, { named: revocationEndpoint, isAlias, plaintext })
    if (!server) return undefined
    const request = { server, clientId, token, hint, clock: this.#clock, signal }
    const { warning } = await eachUntilKnown(await this.#proof.presentations(server), ({ authenticate }) =>
      requestRevocation({ ...request, authenticate, route: this.#route() }),
    ).catch((error) => {
      // Not before: whoever is about to spend a refresh token meanwhile has looked where to, and counts on it.
      if (this.#metadata === found) this.#metadata = undefined
      throw error
    })
    this.#metadata ??= found
    return warning === undefined ? {} : { warning }
  }

  /** An issuer may want its nonce in the proof, and says so once it has seen one without. @see RFC 9449 section 8 */
  async #presentWithNonce(request: GrantRequest, server: AuthorizationServer, signal: AbortSignal): Promise<Granted> {
    const key = this.#boundTo
    if (!key) return this.#present(request, server, signal)
    refuseAlgorithm(key, server)
    const nonce = () => key.nonceFor(server.token_endpoint ?? server.issuer)
    const before = nonce()
    try {
      return await this.#present(request, server, signal)
    } catch (error) {
      const isWanted = error instanceof IssuerRefusal && error.error === 'use_dpop_nonce' && nonce() !== before
      if (!isWanted) throw error
      // From the client's proof on: an assertion that was shown once is refused the second time.
      return await this.#present(request, server, signal)
    }
  }

  async #locate(signal: AbortSignal): Promise<AuthorizationServer> {
    const { tokenEndpoint, issuer = '', unsafeAllowPlaintextIssuer: plaintext } = this.#settings
    if (tokenEndpoint !== undefined) return { issuer: new URL(tokenEndpoint).origin, token_endpoint: tokenEndpoint }
    return this.#metadata ?? (await discover({ issuer, route: this.#route(), signal, plaintext }))
  }

  async #present(request: GrantRequest, server: AuthorizationServer, signal: AbortSignal): Promise<Granted> {
    const presentations = request.isAnonymous ? ANONYMOUS : await this.#proof.presentations(server)
    const { result, warning } = await eachUntilKnown(presentations, (one) => this.#ask(request, server, one, signal))
    return warning === undefined ? result : { ...result, warnings: [warning] }
  }

  async #ask(
    { grantType, parameters = [], clientId = this.#settings.clientId, tokenTypes = ['bearer'] }: GrantRequest,
    server: AuthorizationServer,
    { authenticate, behind }: Presentation,
    signal: AbortSignal,
  ): Promise<Granted> {
    const identity = this.#proof.identity?.()
    const grant = await requestToken({
      server: identity ? atAlias(server) : server,
      clientId: clientId || NOBODY,
      authenticate,
      grantType,
      parameters: this.#parameters(parameters),
      tokenTypes: this.#boundTo ? ['dpop'] : [...tokenTypes, ...(this.#settings.bearerNames ?? [])],
      boundTo: this.#boundTo,
      route: this.#route(),
      clock: this.#clock,
      signal,
    })
    const isGood = identity && (() => this.#proof.identity?.() === identity)
    const origin = { ...(behind && { behind }), ...(this.#boundTo && { boundTo: this.#boundTo }) }
    return { ...grant, ...origin, ...(isGood && { isGood }) }
  }

  #route(): IssuerRoute {
    return { ...this.#way, trust: this.#trust() }
  }

  #parameters(own: readonly (readonly [string, string])[]): URLSearchParams {
    const { scope, tokenParams } = this.#settings
    const common = Object.entries(tokenParams).flatMap(([name, values]) =>
      [values].flat().map((value) => [name, value] as const),
    )
    const all = [...(scope === undefined ? [] : [['scope', scope] as const]), ...common]
    const replaced = new Set(own.map(([name]) => name))
    return new URLSearchParams(
      [...all.filter(([name]) => !replaced.has(name)), ...own].map(([name, value]) => [name, value]),
    )
  }
}

/** Shows one after the other for as long as the client is not known by it. `warning`: what an operator should know of that. */
async function eachUntilKnown<T>(
  presentations: readonly Presentation[],
  ask: (presentation: Presentation) => Promise<T>,
): Promise<{ readonly result: T; readonly warning: string | undefined }> {
  let refusal: unknown
  for (const presentation of presentations) {
    try {
      const result = await ask(presentation)
      return { result, warning: refusal === undefined ? undefined : presentation.accepted?.() }
    } catch (error) {
      if (!(error instanceof IssuerRefusal && error.error === 'invalid_client')) throw error
      refusal ??= error
    }
  }
  throw refusal
}

/** @throws Problem `credential-failed`, which lasts */
function refuseAlgorithm({ algorithm }: DpopKey, server: AuthorizationServer): void {
  const taken = server.dpop_signing_alg_values_supported
  if (taken === undefined || taken.includes(algorithm)) return
  throw new Problem('credential-failed', {
    reason: `the issuer takes no proofs that are signed with ${algorithm}: set dpop: { alg } to one that its metadata names`,
  })
}

/** Where clients with a certificate are to ask, if that is elsewhere. @see RFC 8705 section 5 */
function atAlias(server: AuthorizationServer): AuthorizationServer {
  const alias = server.mtls_endpoint_aliases?.token_endpoint
  return alias === undefined ? server : { ...server, token_endpoint: alias }
}
