import { type ChildProcess, spawn } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Authority } from './certificates.ts'

/** A client that people give their consent to. */
export interface LoginClient {
  readonly id: string
  /** Absent: a public client, that proves itself by nothing but PKCE. */
  readonly secret?: string
  readonly redirectUris: readonly string[]
}

/** A real authorization server (oidc-provider) with its own pages for logging in, in a process of its own. */
export interface LoginServer {
  readonly issuer: string
  readonly port: number
  /** How many token requests it has served so far, failed ones included. */
  tokenRequests(): number
  stop(): Promise<void>
}

interface Wishes {
  readonly authority: Authority
  readonly clients: readonly LoginClient[]
  /** Seconds that an access token lives. */
  readonly lifetime?: number
  /** Access tokens of this form; an opaque one can be revoked by itself. */
  readonly format?: 'jwt' | 'opaque'
}

/** Starts it as `login.test` on a free port. Any name logs in; refresh tokens are rotated, and a replay revokes them all. */
export async function startLoginServer({
  authority,
  clients,
  lifetime = 300,
  format = 'jwt',
}: Wishes): Promise<LoginServer> {
  const { key, cert } = await authority.issue(['login.test'])
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url)], { stdio: ['pipe', 'pipe', 'ignore'] })
  child.stdin.end(JSON.stringify({ key, cert, clients, lifetime, format } satisfies Orders))
  process.once('exit', () => child.kill('SIGKILL'))
  let count = 0
  const lines = createInterface({ input: child.stdout })
  const [first] = await once(lines, 'line', { signal: AbortSignal.timeout(15_000) })
  lines.on('line', () => (count += 1))
  const { port }: { port: number } = JSON.parse(first)
  return { issuer: `https://login.test:${port}`, port, tokenRequests: () => count, stop: () => stop(child) }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

interface Orders {
  readonly key: string
  readonly cert: string
  readonly clients: readonly LoginClient[]
  readonly lifetime: number
  readonly format: 'jwt' | 'opaque'
}

/** The child's part: says its port, and then a line for each token request that it has answered. */
async function serve({ key, cert, ...orders }: Orders): Promise<number> {
  const server = createServer({ key, cert })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // a TCP server has an address of this form
  const { Provider } = await import('oidc-provider')
  const handle = new Provider(`https://login.test:${port}`, configurationOf(orders)).callback()
  server.on('request', (request, response) => {
    if (request.url === '/token') response.once('finish', () => process.stdout.write('token\n'))
    handle(request, response)
  })
  return port
}

const RESOURCE = 'https://api.test'

function configurationOf({ clients, lifetime, format }: Omit<Orders, 'key' | 'cert'>) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kid: 'test' }] },
    cookies: { keys: ['of a test'] },
    clients: clients.map(({ id, secret, redirectUris }) => ({
      client_id: id,
      ...(secret === undefined ? { token_endpoint_auth_method: 'none' } : { client_secret: secret }),
      redirect_uris: redirectUris,
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      id_token_signed_response_alg: 'ES256',
    })),
    scopes: ['openid', 'offline_access', 'read'],
    rotateRefreshToken: true,
    ttl: { AccessToken: lifetime, Grant: 3600, Interaction: 600, Session: 3600, RefreshToken: 3600, IdToken: 300 },
    findAccount: (_context: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id }) }),
    features: {
      devInteractions: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      // Of who shows proofs at all; each has to have its nonce.
      dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => RESOURCE,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: 'read',
          audience: RESOURCE,
          accessTokenTTL: lifetime,
          accessTokenFormat: format,
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const orders: Orders = JSON.parse(await text(process.stdin))
  process.stdout.write(`${JSON.stringify({ port: await serve(orders) })}\n`)
}
