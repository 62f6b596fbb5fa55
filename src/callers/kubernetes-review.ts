import type { Clock } from '../core/clock.ts'
import type { HeldSecret, Secret } from '../core/secret.ts'
import { parseJsonObject } from '../wire/json-object.ts'
import { type Route, requestOnce } from '../wire/request-once.ts'

/** How the API server is asked. */
export interface ReviewerOptions {
  readonly apiServer: string
  /** Our own token, as it stands at each question. */
  readonly token: HeldSecret
  readonly audiences: ReadonlySet<string>
  readonly route: Route
  readonly timeoutMs: number
  readonly clock: Clock
  onFault(reason: string): void
}

/** What the cluster says of a token: who it is, why it is nobody, or that nothing was said (`isOurs`). */
export type Review =
  | { readonly username: string }
  | { readonly username?: undefined; readonly fault: string; readonly isOurs?: true }

const PATH = '/apis/authentication.k8s.io/v1/tokenreviews'
const API_VERSION = 'authentication.k8s.io/v1'
/** After a failure nobody waits for the next one so soon. */
const PAUSE_MS = 1_000
/** At once; each is a connection of its own, and whoever makes up tokens would decide how many there are. */
const MAX_REVIEWS = 100

/**
 * Asks the cluster whether it still stands by a token. An empty list of audiences would mean the API server's own, for
 * which every pod has a token: ours are always named, and one has to be in the answer.
 * @see https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1
 */
export class TokenReviewer {
  readonly #options: ReviewerOptions
  #underWay = 0
  #failure: { readonly at: number; readonly reason: string } | undefined

  constructor(options: ReviewerOptions) {
    this.#options = options
  }

  async review(token: Secret): Promise<Review> {
    const { clock } = this.#options
    if (this.#failure && clock.monotonic() - this.#failure.at < PAUSE_MS)
      return { fault: this.#failure.reason, isOurs: true }
    if (this.#underWay >= MAX_REVIEWS) return { fault: 'too many reviews are under way', isOurs: true }
    this.#underWay++
    try {
      const review = this.#read(await this.#ask(token))
      this.#failure = undefined
      return review
    } catch (error) {
      const reason = `the API server did not review it: ${error instanceof Error ? error.message : String(error)}`
      if (!this.#failure) this.#options.onFault(reason)
      this.#failure = { at: clock.monotonic(), reason }
      return { fault: reason, isOurs: true }
    } finally {
      this.#underWay--
    }
  }

  async #ask(token: Secret): Promise<string> {
    const { apiServer, token: own, audiences, route, timeoutMs } = this.#options
    const spec = { token: token.reveal(), audiences: [...audiences] }
    const { status, body } = await requestOnce(route, {
      url: new URL(`${apiServer.replace(/\/$/, '')}${PATH}`),
      method: 'POST',
      headers: {
        authorization: `Bearer ${own.current().secret.reveal()}`,
        'content-type': 'application/json',
        accept: 'application/json',
      },
      body: JSON.stringify({ apiVersion: API_VERSION, kind: 'TokenReview', spec }),
      signal: AbortSignal.timeout(timeoutMs),
    })
    if (status !== 201 && status !== 200) throw new Error(REMEDIES.get(status) ?? `it answered ${status}`)
    return body
  }

  #read(body: string): Review {
    const status = parseJsonObject(body)?.get('status')
    if (typeof status !== 'object' || status === null) throw new Error('its answer is no TokenReview')
    const { authenticated, user, audiences } = status as Readonly<Record<string, unknown>> // an object of JSON
    if (authenticated !== true) return { fault: 'the API server does not stand by it' }
    const named: readonly unknown[] = Array.isArray(audiences) ? audiences : []
    const isForUs = named.some((one) => typeof one === 'string' && this.#options.audiences.has(one))
    if (!isForUs) return { fault: 'the API server knows it for another audience' }
    const { username } = (user ?? {}) as { readonly username?: unknown } // whatever JSON has
    return typeof username === 'string' ? { username } : { fault: 'the API server names no user' }
  }
}

const REMEDIES = new Map([
  [401, 'it does not know the own token of these settings: check token'],
  [403, 'the own token may not ask for reviews: let its account create tokenreviews, as system:auth-delegator does'],
  [404, 'it has no TokenReview: check apiServer'],
])
