import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, request } from 'node:https'
import { text } from 'node:stream/consumers'
import { createRemoteJWKSet, customFetch, type JWTPayload, jwtVerify } from 'jose'
import { listenOrExit, type Orders, readOrders, sayReady } from './orders.ts'

/** What the API is started with. */
export interface ApiOrders extends Orders {
  readonly issuer: string
  /** What a token must be meant for. */
  readonly audience: string
  /** Whom to trust about the name of the issuer; PEM. */
  readonly caPem: string
}

type Verify = (authorization: string | undefined) => Promise<JWTPayload | undefined>

/** An API that answers nobody without a token of its issuer (RFC 9068). A program, likewise. */
async function serve(orders: ApiOrders): Promise<void> {
  const verify = verifierOf(orders)
  const server = createServer({ key: orders.key, cert: orders.cert }, (asked, response) => {
    asked.resume()
    answer(asked, response, verify).catch(() => response.destroy())
  })
  await listenOrExit(server, orders.port)
  sayReady()
}

function verifierOf({ issuer, audience, caPem }: ApiOrders): Verify {
  const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`), { [customFetch]: (url) => getLocally(url, caPem) })
  const rules = { issuer, audience, typ: 'at+jwt', algorithms: ['ES256'], requiredClaims: ['exp', 'client_id'] }
  return async function verify(authorization = '') {
    const [, token = ''] = /^Bearer (\S+)$/.exec(authorization) ?? []
    return jwtVerify(token, keys, rules).then(
      ({ payload }) => payload,
      () => undefined,
    )
  }
}

async function answer(asked: IncomingMessage, response: ServerResponse, verify: Verify): Promise<void> {
  const claims = await verify(asked.headers.authorization)
  const { method, url, headers } = asked
  if (!claims) return reply(response, 401, { error: 'no token, or not one for this API' })
  const seen = { ...headers, authorization: 'Bearer <verified, not shown>' }
  reply(response, 200, { hello: claims['client_id'], request: { method, url, headers: seen }, claims })
}

function reply(response: ServerResponse, status: number, body: object): void {
  const challenge = status === 401 ? { 'WWW-Authenticate': 'Bearer error="invalid_token"' } : {}
  response.writeHead(status, { 'Content-Type': 'application/json', ...challenge })
  response.end(`${JSON.stringify(body, undefined, 2)}\n`)
}

/** A name of the playground is in no DNS: it is this machine, and the certificate proves the name. */
async function getLocally(url: string, ca: string): Promise<Response> {
  const { hostname, host, port, pathname } = new URL(url)
  const options = { host: '127.0.0.1', port, path: pathname, servername: hostname, ca, agent: false as const }
  const asked = request({ ...options, headers: { host, accept: 'application/json' } })
  asked.setTimeout(5_000, () => asked.destroy(new Error('the authorization server does not answer'))).end()
  const [response]: [IncomingMessage] = (await once(asked, 'response')) as [IncomingMessage] // of node:https
  return new Response(await text(response), { status: response.statusCode ?? 500 })
}

// Last: by now every `const` above is there.
await serve(await readOrders<ApiOrders>())
