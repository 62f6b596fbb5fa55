import { type ChildProcess, spawn } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Authority } from './certificates.ts'

const HOST = 'login.test'

interface Orders {
  readonly key: string
  readonly cert: string
  /** Of the one client, `crm`. */
  readonly secret: string
  readonly audience: string
}

/** A real authorization server (oidc-provider) whose one client gets tokens that are bound to its key, and no others. */
export interface DpopServer {
  readonly issuer: string
  readonly port: number
  /** The public keys that its tokens verify by, as JSON. */
  readonly jwks: string
  stop(): Promise<void>
}

/** Starts it in a process of its own, on 127.0.0.1; it wants its nonce in each proof. */
export async function startDpopServer(
  authority: Authority,
  { secret, audience }: Pick<Orders, 'secret' | 'audience'>,
): Promise<DpopServer> {
  const { key, cert } = await authority.issue([HOST])
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url)], { stdio: ['pipe', 'pipe', 'ignore'] })
  // The private key goes through the pipe: it is never on disk or in the list of processes.
  child.stdin.end(JSON.stringify({ key, cert, secret, audience } satisfies Orders))
  process.once('exit', () => child.kill('SIGKILL'))
  const { port, jwks } = await saidBy(child)
  return { issuer: `https://${HOST}:${port}`, port, jwks, stop: () => stop(child) }
}

async function saidBy({ stdout }: ChildProcess): Promise<{ port: number; jwks: string }> {
  if (!stdout) throw new Error('the authorization server did not start')
  const [line] = await once(createInterface({ input: stdout }), 'line', { signal: AbortSignal.timeout(20_000) })
  return JSON.parse(line)
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

/** The child's part. */
async function serve({ key, cert, secret, audience }: Orders): Promise<{ port: number; jwks: string }> {
  const server = createServer({ key, cert })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // a TCP server has an address of this form
  const { Provider } = await import('oidc-provider')
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const named = { alg: 'ES256', use: 'sig', kid: 'test' }
  const provider = new Provider(`https://${HOST}:${port}`, {
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), ...named }] },
    clients: [
      {
        client_id: 'crm',
        client_secret: secret,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        dpop_bound_access_tokens: true,
        id_token_signed_response_alg: 'ES256',
      },
    ],
    scopes: ['read'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        getResourceServerInfo: () => ({
          scope: 'read',
          audience,
          accessTokenTTL: 300,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  })
  server.on('request', provider.callback())
  return { port, jwks: JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), ...named }] }) }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const orders: Orders = JSON.parse(await text(process.stdin))
  process.stdout.write(`${JSON.stringify(await serve(orders))}\n`)
}
