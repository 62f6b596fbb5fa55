import type { AuthorizationServer } from 'oauth4webapi'
import { toBlockList } from '../forms/network.ts'
import { longLivedOf } from '../secrets/reference.ts'
import { trustOf } from '../wire/trust.ts'
import { MintedSupply } from './cache.ts'
import { authenticateBySecret } from './client-auth.ts'
import { type ClientCredentialsSettings, clientCredentialsSettings } from './client-credentials-settings.ts'
import { discover } from './discovery.ts'
import type { IssuerRoute } from './issuer-exchange.ts'
import type { Mint, Minted } from './mint.ts'
import { requestToken, type TokenGrant } from './token-endpoint.ts'
import { lifetimeOf } from './token-lifetime.ts'
import type { SourceKind, SourceTools } from './tools.ts'

/** Tokens that the client gets by its own credentials. @see RFC 6749 section 4.4 */
export const clientCredentials: SourceKind<typeof clientCredentialsSettings> = {
  schema: clientCredentialsSettings,
  build(settings, tools) {
    const held = tools.secret(settings.clientSecret)
    return new MintedSupply({
      mint: mintWith(settings, tools),
      clock: tools.clock,
      random: () => tools.random(),
      secretVersion: () => held.current().version,
      onMint: (event) => tools.onMint?.(event),
    })
  },
}

function mintWith(settings: ClientCredentialsSettings, tools: SourceTools): Mint {
  const held = tools.secret(settings.clientSecret)
  const route = routeOf(settings, tools)
  const parameters = parametersOf(settings)
  const locate = locator(settings, route)
  return async function mint() {
    const behind = longLivedOf(settings.clientSecret, held)
    const authenticate = authenticateBySecret(behind.secret, settings)
    const signal = AbortSignal.timeout(settings.timeoutMs)
    const { clientId } = settings
    return locate(signal, async (server) => {
      const grant = await requestToken({
        server,
        clientId,
        authenticate,
        parameters,
        route,
        clock: tools.clock,
        signal,
      })
      return { ...mintedOf(grant, settings), behind }
    })
  }
}

function routeOf({ tls, allowPrivate, timeoutMs }: ClientCredentialsSettings, tools: SourceTools): IssuerRoute {
  const trust = trustOf(tls.ca && tools.file(tls.ca))
  return { dialer: tools.dialer, trust, allowPrivate: toBlockList(allowPrivate), timeoutMs }
}

function parametersOf({ scope, tokenParams }: ClientCredentialsSettings): URLSearchParams {
  const pairs = Object.entries(tokenParams).flatMap(([name, values]) => [values].flat().map((value) => [name, value]))
  return new URLSearchParams(scope === undefined ? pairs : [['scope', scope], ...pairs])
}

type Locate = (signal: AbortSignal, use: (server: AuthorizationServer) => Promise<Minted>) => Promise<Minted>

/** Metadata is kept while it serves: the next mint after one that failed reads it anew, in case the endpoint has moved. */
function locator({ tokenEndpoint, issuer = '', ...settings }: ClientCredentialsSettings, route: IssuerRoute): Locate {
  if (tokenEndpoint !== undefined) {
    return (_signal, use) => use({ issuer: new URL(tokenEndpoint).origin, token_endpoint: tokenEndpoint })
  }
  const plaintext = settings.unsafeAllowPlaintextIssuer
  let known: AuthorizationServer | undefined
  return async function locate(signal, use) {
    const server = known ?? (await discover({ issuer, route, signal, plaintext }))
    known = undefined
    const minted = await use(server)
    known = server
    return minted
  }
}

function mintedOf({ accessToken, sentAt, expiresIn, scope }: TokenGrant, settings: ClientCredentialsSettings): Minted {
  const token = { accessToken: accessToken.reveal(), expiresIn, sentAt: sentAt.wall }
  const warnings = isNarrower(scope, settings.scope)
    ? ['the issuer granted less than the scope that was asked for']
    : []
  return { secret: accessToken, sentAt, lifetimeMs: lifetimeOf(token, settings), warnings }
}

/** An issuer may drop scopes in silence; the upstream is who refuses then, so that an operator had better be told. */
function isNarrower(granted: string | undefined, asked: string | undefined): boolean {
  if (granted === undefined || asked === undefined) return false
  const names = new Set(granted.split(' '))
  return asked.split(' ').some((name) => name !== '' && !names.has(name))
}
