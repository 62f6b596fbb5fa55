import type { Identity } from './certificates.ts'
import { type Quirk, type QuirkIssuer, type RecordedRequest, startQuirkIssuer } from './quirk-issuer.ts'

/** A service account that the cluster knows, by one of its tokens. */
interface Known {
  readonly username: string
  readonly audiences: readonly string[]
}

/**
 * A FAKE of the API server of Kubernetes: no cluster is behind it. It speaks the HTTP of TokenReview and of issuer discovery
 * as the documentation has it, over real TLS, and answers by what a test has told it.
 * @see https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1
 */
export interface FakeApiServer {
  readonly url: string
  readonly port: number
  readonly requests: readonly RecordedRequest[]
  /** Reviews so far. */
  reviews(): readonly { readonly token: string; readonly audiences: readonly string[] }[]
  /** The cluster stands by this token from now on; its own audience is `https://kubernetes.default.svc`. */
  know(token: string, known: Known): void
  /** The pod is gone. */
  forget(token: string): void
  /** Whom it lets ask, by bearer token. */
  admit(token: string): void
  /** The answer to every review from now on, instead; undefined: as told. */
  instead(quirk: Quirk | undefined): void
  /** What is at its other paths. */
  publish(path: string, body: object | string): void
  stop(): Promise<void>
}

const REVIEWS = '/apis/authentication.k8s.io/v1/tokenreviews'
const OWN_AUDIENCE = 'https://kubernetes.default.svc'

export async function startFakeApiServer(identity: Identity, host: string): Promise<FakeApiServer> {
  const server = await startQuirkIssuer(identity)
  const known = new Map<string, Known>()
  const published = new Map<string, object | string>()
  let admitted = ''
  let override: Quirk | undefined
  server.answer((request) => {
    if (!request.rawHeaders.includes(`Bearer ${admitted}`)) return status(401, 'Unauthorized')
    const page = published.get(request.target)
    if (page !== undefined)
      return takes(request, typeOf(request.target)) ? { body: page } : status(406, 'NotAcceptable')
    if (request.method !== 'POST' || request.target !== REVIEWS) return status(404, 'NotFound')
    return override ?? review(request, known)
  })
  return {
    url: `https://${host}:${server.port}`,
    port: server.port,
    requests: server.requests,
    reviews: () => reviewsIn(server),
    know: (token, one) => void known.set(token, one),
    forget: (token) => void known.delete(token),
    admit: (token) => (admitted = token),
    instead: (quirk) => (override = quirk),
    publish: (path, body) => void published.set(path, body),
    stop: () => server.stop(),
  }
}

/** Its keys have a type of their own, and whoever does not say that it takes that one gets nothing: seen of 1.36. */
function typeOf(target: string): string {
  return target === '/openid/v1/jwks' ? 'application/jwk-set+json' : 'application/json'
}

function takes({ rawHeaders }: RecordedRequest, type: string): boolean {
  const place = rawHeaders.findIndex((text, index) => index % 2 === 0 && text.toLowerCase() === 'accept')
  const taken = (place < 0 ? '*/*' : (rawHeaders[place + 1] ?? ''))
    .split(',')
    .map((one) => one.replace(/;.*/, '').trim())
  return taken.some((one) => one === type || one === '*/*')
}

function reviewsIn({ requests }: QuirkIssuer) {
  return requests
    .filter(({ target, body }) => target === REVIEWS && body !== '')
    .map(({ body }) => JSON.parse(body).spec as { token: string; audiences: string[] } /* what we send */)
}

function review({ body }: RecordedRequest, known: ReadonlyMap<string, Known>): Quirk {
  const { apiVersion, kind, spec } = JSON.parse(body)
  if (apiVersion !== 'authentication.k8s.io/v1' || kind !== 'TokenReview') return status(400, 'BadRequest')
  // "If no audiences are provided, the audience will default to the audience of the Kubernetes apiserver."
  const asked: readonly string[] = spec.audiences?.length ? spec.audiences : [OWN_AUDIENCE]
  const found = known.get(spec.token)
  const audiences = found?.audiences.filter((one) => asked.includes(one)) ?? []
  const answer =
    found && audiences.length > 0
      ? { authenticated: true, user: userOf(found.username), audiences }
      : { user: {}, error: '[invalid bearer token, token lookup failed]' }
  return { status: 201, body: { kind, apiVersion, metadata: { creationTimestamp: null }, spec, status: answer } }
}

function userOf(username: string): object {
  const namespace = username.split(':')[2]
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated']
  const extra = { 'authentication.kubernetes.io/pod-name': ['checkout-7d4'] }
  return { username, uid: '8f5f2b0e', groups, extra }
}

function status(code: number, reason: string): Quirk {
  return { status: code, body: { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, code } }
}
