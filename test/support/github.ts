import { createPublicKey, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { jwtVerify } from 'jose'
import type { Identity } from './certificates.ts'

/** What there is at this GitHub. */
interface Site {
  readonly identity: Identity
  readonly appId: string
  /** PEM; its public half is known here. */
  readonly privateKey: string
  readonly installationId: number
  readonly owner: string
  /** Names of the repositories that the app is installed for. */
  readonly repositories: readonly string[]
  readonly permissions: Readonly<Record<string, string>>
}

/** One token that was given out. */
export interface IssuedToken {
  readonly token: string
  readonly repositories: readonly string[]
  readonly permissions: Readonly<Record<string, string>>
}

/** GitHub as far as an app is concerned; test/credentials/github/github-judge.test.ts has its own client judge that it is right. */
export interface GithubStandIn {
  readonly port: number
  readonly issued: readonly IssuedToken[]
  /** Every request for a token, refused ones too: its raw fields. */
  readonly asked: readonly (readonly string[])[]
  /** Its clock is so much ahead of ours from now on. */
  advance(ms: number): void
  /** Says this to every request for a token from now on, whoever asks; undefined: judges again. */
  say(
    answer:
      | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly message?: string }
      | undefined,
  ): void
  stop(): Promise<void>
}

/** Starts it on 127.0.0.1, on a free port. */
export async function startGithub(site: Site): Promise<GithubStandIn> {
  const issued: IssuedToken[] = []
  const asked: (readonly string[])[] = []
  let ahead = 0
  let fixed: Parameters<GithubStandIn['say']>[0]
  const now = () => Date.now() + ahead
  const server = createServer(site.identity, (request, response) => {
    response.setHeader('date', new Date(now()).toUTCString())
    serve(request, response).catch(() => response.destroy())
  })
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, url = '' } = request
    const [, installation] = /^\/app\/installations\/(\d+)\/access_tokens$/.exec(url) ?? []
    if (installation === undefined || method !== 'POST') return reply(response, resource(url, bearerOf(request)))
    asked.push(request.rawHeaders)
    const body = await bodyOf(request)
    const { status, headers, message = 'GH_CANARY' } = fixed ?? {}
    if (status !== undefined) return reply(response, { status, body: { message }, headers })
    const fault = await faultOfApp(bearerOf(request), site, now())
    if (fault !== undefined) return reply(response, { status: 401, body: { message: fault } })
    reply(response, installation === String(site.installationId) ? grant(body) : NOT_FOUND)
  }
  function grant(body: Readonly<Record<string, unknown>>): Answer {
    const { repositories = site.repositories, permissions = site.permissions } = body as Partial<IssuedToken> // as its client sends it
    const isKnown = repositories.every((name) => site.repositories.includes(name))
    const isHad = Object.keys(permissions).every((name) => name in site.permissions)
    if (!isKnown || !isHad)
      return {
        status: 422,
        body: {
          message:
            'There is at least one repository that does not exist or is not accessible to the parent installation.',
        },
      }
    const token = `ghs_${site.appId}_${randomBytes(18).toString('base64url')}`
    issued.push({ token, repositories, permissions })
    const expiresAt = new Date(now() + 3_600_000).toISOString().replace(/\.\d+Z$/, 'Z')
    return {
      status: 201,
      body: {
        token,
        expires_at: expiresAt,
        permissions,
        repository_selection: 'repositories' in body ? 'selected' : 'all',
      },
    }
  }
  function resource(url: string, token: string): Answer {
    const had = issued.find((one) => one.token === token)
    if (!had) return { status: 401, body: { message: 'Bad credentials' } }
    const [, owner, name = ''] = /^\/repos\/([^/]+)\/([^/?]+)/.exec(url) ?? []
    if (owner !== site.owner || !had.repositories.includes(name)) return NOT_FOUND
    return { status: 200, body: { full_name: `${owner}/${name}`, permissions: had.permissions } }
  }
  server.on('tlsClientError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port, // a TCP server has an address of this form
    issued,
    asked,
    advance: (ms) => (ahead += ms),
    say: (answer) => (fixed = answer),
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

interface Answer {
  readonly status: number
  readonly body: object
  readonly headers?: Readonly<Record<string, string>> | undefined
}

const NOT_FOUND: Answer = { status: 404, body: { message: 'Not Found' } }

function reply(response: ServerResponse, { status, body, headers = {} }: Answer): void {
  response
    .writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers })
    .end(JSON.stringify(body))
}

/** What GitHub says of a JWT that is not right; its own words, by which clients know that a clock is wrong. */
async function faultOfApp(jwt: string, { appId, privateKey }: Site, now: number): Promise<string | undefined> {
  const verified = await jwtVerify(jwt, createPublicKey(privateKey), {
    algorithms: ['RS256'],
    currentDate: new Date(0),
  }).catch(() => undefined)
  if (!verified) return 'A JSON web token could not be decoded'
  const { iss, iat = Number.NaN, exp = Number.NaN } = verified.payload
  if (String(iss) !== appId) return 'Integration not found'
  if (!(iat <= now / 1000))
    return "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
  if (!(exp > now / 1000))
    return "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"
  return exp > now / 1000 + 600 ? "'Expiration time' claim ('exp') is too far in the future" : undefined
}

function bearerOf({ headers }: IncomingMessage): string {
  return /^(?:bearer|token) (.+)$/i.exec(headers.authorization ?? '')?.[1] ?? ''
}

async function bodyOf(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString()
  return text === '' ? {} : JSON.parse(text)
}
