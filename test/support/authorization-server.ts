import { type ChildProcess, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import type { TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import type { Authority } from './certificates.ts'

const COUNT_PATH = '/test/token-requests'

/** A client of the authorization server. */
export interface RegisteredClient {
  readonly id: string
  /** Absent where it proves itself otherwise, as `metadata` says. */
  readonly secret?: string
  /** How it has to show its secret: this way and no other. */
  readonly clientAuth?: 'header' | 'body'
  /** What else is registered of it, by the names of RFC 7591 and RFC 8705. */
  readonly metadata?: Readonly<Record<string, unknown>>
}

/** What an authorization server is started with. */
export interface AuthorizationServerOptions {
  /** Issues the server's certificate. */
  readonly authority: Authority
  readonly clients: readonly RegisteredClient[]
  /** Name in the issuer URL and in the certificate; whoever asks has to pin it to 127.0.0.1. */
  readonly host?: string
  /** 0: any free one. */
  readonly port?: number
  /** Seconds that a token lives. */
  readonly lifetime?: number
  /** The resource (audience) of a token when the request names none; requests may name this one and no other. */
  readonly resource?: string
  /** Scopes of the resource, with blanks between. */
  readonly scope?: string
  /** PEM of the authority whose certificates are believed of clients; with it, all are asked for one (RFC 8705). */
  readonly clientCa?: string
  /** Where the token endpoint is. */
  readonly tokenPath?: string
}

/** A real authorization server (oidc-provider) over HTTPS, in a process of its own. */
export interface RunningAuthorizationServer {
  readonly issuer: string
  readonly tokenEndpoint: string
  readonly jwksUri: string
  readonly port: number
  /** How many token requests it has served so far, failed ones included. */
  tokenRequests(): Promise<number>
  /** Sends a GET as a client that trusts the authority. */
  get(path: string): Promise<string>
  stop(): Promise<void>
}

/** Starts it on 127.0.0.1 and resolves once it listens. @throws Error when it does not start within ten seconds */
export async function startAuthorizationServer(
  options: AuthorizationServerOptions,
): Promise<RunningAuthorizationServer> {
  const { authority, host = 'login.test', port: wanted = 0, ...rest } = options
  const { key, cert } = await authority.issue([host])
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url)], { stdio: ['pipe', 'pipe', 'ignore'] })
  // The private key goes through the pipe: it is never on disk or in the list of processes.
  child.stdin.end(JSON.stringify({ ...DEFAULTS, ...rest, host, port: wanted, key, cert } satisfies Orders))
  process.once('exit', () => child.kill('SIGKILL'))
  const port = await portOf(child)
  const issuer = `https://${host}:${port}`
  const get = (path: string) => fetchText({ host, port, path, ca: authority.certPem })
  return {
    issuer,
    tokenEndpoint: `${issuer}${options.tokenPath ?? DEFAULTS.tokenPath}`,
    jwksUri: `${issuer}/jwks`,
    port,
    get,
    tokenRequests: async () => Number(await get(COUNT_PATH)),
    stop: () => stop(child),
  }
}

const DEFAULTS = { lifetime: 300, resource: 'https://api.test', scope: 'read write', tokenPath: '/token' }

type Wishes = Omit<Orders, 'key' | 'cert' | 'host' | 'port'>

interface Orders {
  readonly key: string
  readonly cert: string
  readonly host: string
  readonly port: number
  readonly clients: readonly RegisteredClient[]
  readonly lifetime: number
  readonly resource: string
  readonly scope: string
  readonly clientCa?: string
  readonly tokenPath: string
}

async function portOf({ stdout, pid }: ChildProcess): Promise<number> {
  if (!stdout || pid === undefined) throw new Error('the authorization server did not start')
  const lines = createInterface({ input: stdout })
  const [line] = await once(lines, 'line', { signal: AbortSignal.timeout(10_000) })
  const { port }: { port: number } = JSON.parse(line)
  return port
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

interface Fetching {
  readonly host: string
  readonly port: number
  readonly path: string
  readonly ca: string
}

async function fetchText({ host, port, path, ca }: Fetching): Promise<string> {
  const headers = { host: `${host}:${port}` }
  const asked = request({ host: '127.0.0.1', servername: host, port, path, ca, headers, agent: false })
  asked.setTimeout(20_000, () => asked.destroy(new Error('the authorization server does not answer'))).end()
  const [response]: IncomingMessage[] = await once(asked, 'response')
  return response ? text(response) : ''
}

/** The child's part. oidc-provider is imported here alone: it takes half a second. */
async function serve({ key, cert, port, ...orders }: Orders): Promise<number> {
  // Whether a certificate is needed, and which one, is for the client's registration to say.
  const server = createServer({
    key,
    cert,
    ...(orders.clientCa && { ca: orders.clientCa, requestCert: true, rejectUnauthorized: false }),
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const bound = (server.address() as AddressInfo).port // a TCP server has an address of this form
  const { Provider, errors } = await import('oidc-provider')
  const unknownResource = () => new errors.InvalidTarget()
  const provider = new Provider(`https://${orders.host}:${bound}`, configurationOf(orders, unknownResource)).callback()
  server.on('request', counting(provider, orders.tokenPath))
  return bound
}

function counting(next: (request: IncomingMessage, response: ServerResponse) => void, tokenPath: string) {
  let count = 0
  return (asked: IncomingMessage, response: ServerResponse) => {
    if (asked.url === tokenPath) count += 1
    if (asked.url === COUNT_PATH) response.end(String(count))
    else next(asked, response)
  }
}

function configurationOf(
  { clients, lifetime, resource, scope, clientCa, tokenPath }: Wishes,
  unknownResource: () => Error,
) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kid: 'test' }] },
    clients: clients.map((client) => ({ ...MACHINE, ...registrationOf(client) })),
    routes: { token: tokenPath },
    scopes: scope.split(' '),
    ttl: { ClientCredentials: lifetime },
    clientAuthMethods: [
      'none',
      'client_secret_basic',
      'client_secret_post',
      'private_key_jwt',
      ...(clientCa ? TLS_AUTH : []),
    ],
    enabledJWA: { clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA'] },
    features: {
      ...(clientCa && { mTLS: MTLS }),
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        getResourceServerInfo(_context: unknown, asked: string) {
          if (asked !== resource) throw unknownResource()
          const jwt = { sign: { alg: 'ES256' } }
          return { scope, audience: resource, accessTokenTTL: lifetime, accessTokenFormat: 'jwt', jwt }
        },
      },
    },
  }
}

const MACHINE = {
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
  id_token_signed_response_alg: 'ES256',
}

function registrationOf({ id, secret, clientAuth = 'header', metadata = {} }: RegisteredClient) {
  const method = clientAuth === 'header' ? 'client_secret_basic' : 'client_secret_post'
  const own = { client_id: id, token_endpoint_auth_method: method, ...metadata }
  return secret === undefined ? own : { ...own, client_secret: secret }
}

const TLS_AUTH = ['tls_client_auth', 'self_signed_tls_client_auth']

interface Asked {
  readonly socket: TLSSocket
}

const MTLS = {
  enabled: true,
  certificateBoundAccessTokens: true,
  tlsClientAuth: true,
  selfSignedTlsClientAuth: true,
  getCertificate: ({ socket }: Asked) => socket.getPeerX509Certificate(),
  certificateAuthorized: ({ socket }: Asked) => socket.authorized,
  certificateSubjectMatches: ({ socket }: Asked, property: string, expected: string) =>
    property === 'tls_client_auth_san_dns' &&
    (socket.getPeerX509Certificate()?.subjectAltName ?? '').split(', ').includes(`DNS:${expected}`),
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const orders: Orders = JSON.parse(await text(process.stdin))
  process.stdout.write(`${JSON.stringify({ port: await serve(orders) })}\n`)
}
