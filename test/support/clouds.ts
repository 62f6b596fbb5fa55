import { createPublicKey, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { decodeProtectedHeader, type JWTPayload, jwtVerify } from 'jose'
import { Agent, buildConnector, fetch } from 'undici'
import type { Dialer } from '../../src/wire/dial.ts'
import type { Authority } from './certificates.ts'

/** Names as their clients have them built in. */
const GOOGLE = ['oauth2.googleapis.com', 'sts.googleapis.com', 'iamcredentials.googleapis.com'] as const
const MICROSOFT = 'login.microsoftonline.com'
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS = 'urn:ietf:params:oauth:token-type:access_token'
const PLATFORM = 'https://www.googleapis.com/auth/cloud-platform'

/** Who is known to Google and to Entra here. Keys are PEM, public or private: their public half is what is known. */
export interface Known {
  readonly robot: { readonly email: string; readonly kid: string; readonly key: string }
  /** The provider of a workload identity pool, and whose tokens it takes. */
  readonly pool: { readonly audience: string; readonly issuer: string; readonly key: string }
  readonly app: {
    readonly tenant: string
    readonly clientId: string
    readonly secret: string
    readonly thumbprint: string
    readonly key: string
    /** Whose tokens a federated credential of the app names. */
    readonly federated: { readonly issuer: string; readonly subject: string; readonly key: string }
  }
}

/** One request for a token: parameters of a form, members of JSON, claims and header of what was signed. */
export interface CloudRequest {
  readonly to: string
  readonly said: Readonly<Record<string, unknown>>
  readonly signed: { readonly header: object; readonly claims: JWTPayload } | undefined
}

/** Google and Entra as far as tokens go. test/credentials/cloud-judge.test.ts has their own clients judge that they are right. */
export interface Clouds {
  /** Those that got a token. */
  readonly requests: readonly CloudRequest[]
  readonly issued: readonly string[]
  /** As `fetch`, for clients that have the names built in: every name is here. */
  readonly fetch: (url: string | URL, init?: object) => Promise<Response>
  /** The same for ours: what is dialled is here, and proves itself as whom it was dialled as. */
  through(dialer: Dialer): Dialer
  stop(): Promise<void>
}

interface Answer {
  readonly status: number
  readonly body: object
}

/** Starts it on 127.0.0.1, on a free port. */
export async function startClouds(authority: Authority, known: Known): Promise<Clouds> {
  const site = new Site(known)
  const server = createServer(await authority.issue([...GOOGLE, MICROSOFT]), (request, response) => {
    site.serve(request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // a TCP server has an address of this form
  const dispatcher = new Agent({ connect: connectorTo(port, authority.certPem) })
  return {
    requests: site.requests,
    issued: site.issued,
    fetch: (url, init = {}) => fetch(url, { ...init, dispatcher }),
    through: (dialer) => ({
      dial: (to, signal) => dialer.dial({ ...to, port }, signal),
      connector: (to) => dialer.connector({ ...to, port }),
      isOwnSocket: (from, to) => dialer.isOwnSocket(from, to),
    }),
    async stop() {
      await dispatcher.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function connectorTo(port: number, ca: string): buildConnector.connector {
  const connect = buildConnector({ ca })
  return (options, done) => {
    const servername = options.hostname
    connect({ ...options, hostname: '127.0.0.1', host: `127.0.0.1:${port}`, port: String(port), servername }, done)
  }
}

class Site {
  readonly #known: Known
  readonly #jtis = new Set<string>()
  readonly #federated = new Set<string>()
  readonly requests: CloudRequest[] = []
  readonly issued: string[] = []

  constructor(known: Known) {
    this.#known = known
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { host = '' } = request.headers
    // The query of Microsoft's client is an id for the log.
    const to = `${request.method} ${host}${request.url?.split('?')[0]}`
    const body = await text(request)
    const said: Record<string, unknown> = request.headers['content-type']?.includes('json')
      ? JSON.parse(body)
      : Object.fromEntries(new URLSearchParams(body))
    const { status, body: answer } = await this.#judge(to, said, request.headers.authorization)
    response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' })
    response.end(JSON.stringify(answer))
  }

  #judge(to: string, said: Record<string, unknown>, authorization = ''): Answer | Promise<Answer> {
    const { app } = this.#known
    const authorities = `${MICROSOFT}/${app.tenant}`
    if (to === 'POST oauth2.googleapis.com/token') return this.#serviceAccount(to, said)
    if (to === 'POST sts.googleapis.com/v1/token') return this.#exchange(to, said)
    if (to.startsWith('POST iamcredentials.googleapis.com/')) return this.#impersonate(to, said, authorization)
    if (to === `GET ${authorities}/v2.0/.well-known/openid-configuration`) return metadataOf(app.tenant)
    if (to.startsWith(`GET ${MICROSOFT}/common/discovery/instance`)) return instancesOf()
    if (to === `POST ${authorities}/oauth2/v2.0/token`) return this.#entra(to, said)
    return { status: 404, body: { error: 'not_found', to } }
  }

  /** @see https://developers.google.com/identity/protocols/oauth2/service-account */
  async #serviceAccount(to: string, said: Record<string, unknown>): Promise<Answer> {
    const { robot } = this.#known
    const assertion = textOf(said, 'assertion')
    const claims = await verified(assertion, robot.key, { issuer: robot.email, audience: `https://${GOOGLE[0]}/token` })
    const { iat = 0, exp = 0, scope } = claims ?? {}
    const isRight = said['grant_type'] === JWT_BEARER && typeof scope === 'string' && exp - iat <= 3_600
    const { kid, alg } = claims ? decodeProtectedHeader(assertion) : {}
    if (!claims || !isRight || (kid !== undefined && kid !== robot.kid) || alg !== 'RS256')
      return { status: 400, body: { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' } }
    return this.#grant(to, said, assertion, claims)
  }

  /** @see https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token */
  async #exchange(to: string, said: Record<string, unknown>): Promise<Answer> {
    const { pool } = this.#known
    const subject = textOf(said, 'subject_token')
    const claims = await verified(subject, pool.key, { issuer: pool.issuer, audience: `https:${pool.audience}` })
    const isRight =
      said['grant_type'] === EXCHANGE && said['requested_token_type'] === ACCESS && said['audience'] === pool.audience
    if (!claims || !isRight || said['scope'] === undefined)
      return { status: 400, body: { error: 'invalid_grant', error_description: 'The subject token is not right.' } }
    const answer = this.#grant(to, said, subject, claims)
    const token = this.issued.at(-1) ?? ''
    if (textOf(said, 'scope').split(' ').includes(PLATFORM)) this.#federated.add(token)
    return { ...answer, body: { ...answer.body, issued_token_type: ACCESS } }
  }

  /** @see https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken */
  #impersonate(to: string, said: Record<string, unknown>, authorization: string): Answer {
    const { robot } = this.#known
    const isPlace = to.endsWith(`/v1/projects/-/serviceAccounts/${robot.email}:generateAccessToken`)
    const isScope = Array.isArray(said['scope']) && said['scope'].length > 0
    if (!isPlace || !isScope || !this.#federated.has(authorization.replace('Bearer ', '')))
      return { status: 403, body: { error: { code: 403, status: 'PERMISSION_DENIED' } } }
    const seconds = Number.parseInt(textOf(said, 'lifetime') || '3600s', 10)
    this.#grant(to, said)
    const expireTime = new Date(Date.now() + seconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z')
    return { status: 200, body: { accessToken: this.issued.at(-1), expireTime } }
  }

  /** @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow */
  async #entra(to: string, said: Record<string, unknown>): Promise<Answer> {
    const { app } = this.#known
    const isRight =
      said['grant_type'] === 'client_credentials' &&
      said['client_id'] === app.clientId &&
      /^\S+\/\.default$/.test(textOf(said, 'scope').replace(/ (openid|profile|offline_access)\b/g, ''))
    if (!isRight) return { status: 400, body: { error: 'invalid_request', error_codes: [900_144] } }
    if (said['client_secret'] === app.secret) return this.#grant(to, said)
    const assertion = textOf(said, 'client_assertion')
    const claims = (await this.#ownAssertion(assertion)) ?? (await this.#federatedAssertion(assertion))
    if (claims) return this.#grant(to, said, assertion, claims)
    return { status: 401, body: { error: 'invalid_client', error_codes: [700_027] } }
  }

  /** Signed with the key of the certificate, named by its SHA-256 thumbprint, each taken once. */
  async #ownAssertion(assertion: string): Promise<JWTPayload | undefined> {
    const { app } = this.#known
    const audience = `https://${MICROSOFT}/${app.tenant}/oauth2/v2.0/token`
    const claims = await verified(assertion, app.key, { issuer: app.clientId, subject: app.clientId, audience })
    if (!claims || claims.jti === undefined || this.#jtis.has(claims.jti)) return undefined
    this.#jtis.add(claims.jti)
    const header: Readonly<Record<string, unknown>> = decodeProtectedHeader(assertion)
    return header['x5t#S256'] === app.thumbprint && header['alg'] === 'PS256' ? claims : undefined
  }

  #federatedAssertion(assertion: string): Promise<JWTPayload | undefined> {
    const { issuer, subject, key } = this.#known.app.federated
    return verified(assertion, key, { issuer, subject, audience: 'api://AzureADTokenExchange' })
  }

  #grant(to: string, said: Readonly<Record<string, unknown>>, jwt?: string, claims?: JWTPayload): Answer {
    const token = `cloud-${randomBytes(18).toString('base64url')}`
    const signed = jwt !== undefined && claims ? { header: decodeProtectedHeader(jwt), claims } : undefined
    this.requests.push({ to, said, signed })
    this.issued.push(token)
    return {
      status: 200,
      body: { access_token: token, token_type: 'Bearer', expires_in: 3_599, ext_expires_in: 3_599 },
    }
  }
}

function textOf(said: Readonly<Record<string, unknown>>, name: string): string {
  const value = said[name]
  return typeof value === 'string' ? value : ''
}

async function verified(jwt: string, key: string, expected: object): Promise<JWTPayload | undefined> {
  // Microsoft's client rounds the time up as well as down, and theirs takes that.
  return jwtVerify(jwt, createPublicKey(key), { clockTolerance: 60, ...expected }).then(
    ({ payload }) => payload,
    () => undefined,
  )
}

function metadataOf(tenant: string): Answer {
  const base = `https://${MICROSOFT}/${tenant}`
  const body = {
    issuer: `${base}/v2.0`,
    token_endpoint: `${base}/oauth2/v2.0/token`,
    authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
    end_session_endpoint: `${base}/oauth2/v2.0/logout`,
    jwks_uri: `${base}/discovery/v2.0/keys`,
  }
  return { status: 200, body }
}

function instancesOf(): Answer {
  const metadata = [{ preferred_network: MICROSOFT, preferred_cache: 'login.windows.net', aliases: [MICROSOFT] }]
  const tenant_discovery_endpoint = `https://${MICROSOFT}/common/v2.0/.well-known/openid-configuration`
  return { status: 200, body: { tenant_discovery_endpoint, 'api-version': '1.1', metadata } }
}
