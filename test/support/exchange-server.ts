import { type ChildProcess, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { JSONWebKeySet, JWTPayload } from 'jose'
import type { GrantContext } from 'oidc-provider'
import type { Authority } from './certificates.ts'

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

/** Somebody whom the identity provider knows, and what its tokens say of it. */
export interface Person {
  readonly id: string
  readonly secret: string
  readonly claims: Readonly<Record<string, unknown>>
  /** Seconds that its tokens live. */
  readonly lifetime: number
}

/** Which tokens may be exchanged for one of this principal, as Databricks has it: each compared letter by letter. */
export interface FederationPolicy {
  readonly clientId: string
  readonly issuer: string
  readonly audiences: readonly string[]
  readonly subject: string
}

type Role =
  | { readonly is: 'idp'; readonly people: readonly Person[] }
  | { readonly is: 'workspace'; readonly policies: readonly FederationPolicy[]; readonly jwks: JSONWebKeySet }

/** A real provider (oidc-provider) over HTTPS, in a process of its own. */
export interface Provider {
  readonly issuer: string
  readonly port: number
  /** The keys that its tokens are signed with. */
  jwks(): Promise<JSONWebKeySet>
  /** A token of one of its people, for this audience. */
  token(person: Person, audience: string): Promise<string>
  stop(): Promise<void>
}

/**
 * Starts one on 127.0.0.1. As `idp` it gives JWTs with claims of its own; as `workspace` it exchanges such for tokens of its
 * principals, by federation policies, or assertions, each taken once. It copies `exp` from what it is given, and says `expires_in: 3600` all the same.
 */
export async function startProvider(authority: Authority, host: string, role: Role): Promise<Provider> {
  const { key, cert } = await authority.issue([host])
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url)], { stdio: ['pipe', 'pipe', 'ignore'] })
  // The private key goes through the pipe: it is never on disk or in the list of processes.
  child.stdin.end(JSON.stringify({ role, host, key, cert } satisfies Orders))
  process.once('exit', () => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })
  const [line] = await once(lines, 'line', { signal: AbortSignal.timeout(15_000) })
  const { port }: { port: number } = JSON.parse(line)
  const ask = (path: string, body?: string, headers = {}) =>
    askJson({ host, port, path, ca: authority.certPem, body, headers })
  return {
    issuer: `https://${host}:${port}`,
    port,
    jwks: async () => ({ keys: [(await ask('/jwks'))['keys']].flat() }) as JSONWebKeySet, // what a provider has at this place
    async token({ id, secret }, resource) {
      const authorization = `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
      const form = new URLSearchParams({ grant_type: 'client_credentials', resource }).toString()
      const answer = await ask('/token', form, { authorization, 'content-type': 'application/x-www-form-urlencoded' })
      return String(answer['access_token'])
    },
    stop: () => stop(child),
  }
}

interface Orders {
  readonly role: Role
  readonly host: string
  readonly key: string
  readonly cert: string
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

interface Asking {
  readonly host: string
  readonly port: number
  readonly path: string
  readonly ca: string
  readonly body: string | undefined
  readonly headers: object
}

async function askJson({ host, port, path, ca, body, headers }: Asking): Promise<Record<string, unknown>> {
  const asked = request({
    host: '127.0.0.1',
    servername: host,
    port,
    path,
    ca,
    agent: false,
    method: body === undefined ? 'GET' : 'POST',
    headers: { ...headers, host: `${host}:${port}` },
  })
  asked.setTimeout(20_000, () => asked.destroy(new Error('the provider does not answer'))).end(body)
  const [response]: IncomingMessage[] = await once(asked, 'response')
  return JSON.parse(response ? await text(response) : '{}')
}

/** The child's part. oidc-provider is imported here alone: it takes half a second. */
async function serve({ role, host, key, cert }: Orders): Promise<number> {
  const server = createServer({ key, cert })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // a TCP server has an address of this form
  const issuer = `https://${host}:${port}`
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const signing = { ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kid: role.is }
  const { Provider, errors } = await import('oidc-provider')
  const jose = await import('jose')
  const { is } = role
  const provider = new Provider(issuer, {
    jwks: { keys: [signing] },
    ...(is === 'idp' ? ofPeople(role.people) : ofPrincipals(role.policies)),
  })
  if (is === 'workspace') {
    const keys = jose.createLocalJWKSet(role.jwks)
    const refused = () => new errors.InvalidGrant('it fits no federation policy')
    const seen = new Set<unknown>()
    const take = async ({ oidc: { params = {}, client } }: Pick<GrantContext, 'oidc'>, name: string) => {
      const policy = role.policies.find(({ clientId }) => clientId === client?.clientId)
      if (!policy) throw refused()
      const wanted = { issuer: policy.issuer, audience: [...policy.audiences], subject: policy.subject }
      const verified = await jose.jwtVerify(String(params[name]), keys, wanted).catch(() => undefined)
      if (!verified) throw refused()
      return { sub: policy.clientId, claims: verified.payload }
    }
    provider.registerGrantType(
      EXCHANGE,
      async (context) => {
        if (context.oidc.params?.['subject_token_type'] !== 'urn:ietf:params:oauth:token-type:jwt') throw refused()
        const { sub, claims } = await take(context, 'subject_token')
        context.body = await answerFor(sub, claims)
      },
      ['subject_token', 'subject_token_type', 'scope'],
    )
    provider.registerGrantType(
      JWT_BEARER,
      async (context) => {
        const { sub, claims } = await take(context, 'assertion')
        if (claims.jti === undefined || seen.has(claims.jti)) throw refused()
        seen.add(claims.jti)
        context.body = await answerFor(sub, { exp: Math.floor(Date.now() / 1000) + 3600 })
      },
      ['assertion', 'scope'],
    )
  }
  async function answerFor(sub: string, { exp = 0 }: JWTPayload): Promise<object> {
    const signed = new jose.SignJWT({ sub, aud: issuer, scope: 'all-apis' }).setIssuer(issuer).setIssuedAt()
    const token = signed.setExpirationTime(exp).setProtectedHeader({ alg: 'ES256', kid: is, typ: 'at+jwt' })
    return {
      access_token: await token.sign(privateKey),
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'all-apis',
    }
  }
  server.on('request', provider.callback())
  return port
}

const MACHINE = { redirect_uris: [], response_types: [], id_token_signed_response_alg: 'ES256' as const }

function ofPeople(people: readonly Person[]) {
  const personOf = (id: string | undefined) => people.find((person) => person.id === id)
  return {
    clients: people.map(({ id, secret }) => ({
      ...MACHINE,
      client_id: id,
      client_secret: secret,
      grant_types: ['client_credentials'],
    })),
    extraTokenClaims: async (_context: unknown, token: { readonly clientId?: string | undefined }) => ({
      ...personOf(token.clientId)?.claims,
    }),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo(_context: unknown, resource: string, client: { readonly clientId: string }) {
          const accessTokenTTL = personOf(client.clientId)?.lifetime ?? 0
          const jwt = { sign: { alg: 'ES256' as const } }
          return { scope: 'read', audience: resource, accessTokenTTL, accessTokenFormat: 'jwt' as const, jwt }
        },
      },
    },
  }
}

function ofPrincipals(policies: readonly FederationPolicy[]) {
  const client = { ...MACHINE, grant_types: [EXCHANGE, JWT_BEARER], token_endpoint_auth_method: 'none' as const }
  return {
    clients: policies.map(({ clientId }) => ({ ...client, client_id: clientId })),
    scopes: ['all-apis'],
    features: { devInteractions: { enabled: false } },
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const orders: Orders = JSON.parse(await text(process.stdin))
  process.stdout.write(`${JSON.stringify({ port: await serve(orders) })}\n`)
}
