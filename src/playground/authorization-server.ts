import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:https'
import { listenOrExit, type Orders, readOrders, sayReady } from './orders.ts'

/** What the authorization server is started with. */
export interface AuthorizationServerOrders extends Orders {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  /** The one audience that tokens may be asked for (RFC 8707). */
  readonly resource: string
  readonly scope: string
}

/** Short, so that a refresh can be watched. */
const TOKEN_SECONDS = 60

/** A real authorization server, for one client and one resource: a program, with its orders on standard input. */
async function serve(orders: AuthorizationServerOrders): Promise<void> {
  const server = createServer({ key: orders.key, cert: orders.cert })
  // Before the import below, which takes half a second: a port that is taken should not have to wait for it.
  await listenOrExit(server, orders.port)
  const { errors, Provider } = await import('oidc-provider')
  const refuse = () => {
    throw new errors.InvalidTarget()
  }
  server.on('request', new Provider(orders.issuer, configurationOf(orders, refuse)).callback())
  sayReady()
}

function configurationOf({ clientId, clientSecret, resource, scope }: AuthorizationServerOrders, refuse: () => never) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kid: 'playground' }] },
    clients: [{ ...MACHINE, client_id: clientId, client_secret: clientSecret }],
    scopes: scope.split(' '),
    ttl: { ClientCredentials: TOKEN_SECONDS },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo(_context: unknown, asked: string) {
          if (asked !== resource) refuse()
          const jwt = { sign: { alg: 'ES256' } }
          return { scope, audience: resource, accessTokenTTL: TOKEN_SECONDS, accessTokenFormat: 'jwt', jwt }
        },
      },
    },
  }
}

/** A client with no user behind it. */
const MACHINE = {
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
  token_endpoint_auth_method: 'client_secret_basic',
  id_token_signed_response_alg: 'ES256',
}

// Last: by now every `const` above is there.
await serve(await readOrders<AuthorizationServerOrders>())
