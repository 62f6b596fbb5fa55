import { Problem } from '../../core/problem.ts'
import { Secret } from '../../core/secret.ts'
import { type FileReference, toBlockList } from '../../forms/network.ts'
import { parseRetryAfter } from '../../oauth/answer.ts'
import { exchange, type IssuerAnswer, type IssuerRoute } from '../../oauth/exchange.ts'
import { parseJsonObject } from '../../wire/json-object.ts'
import { trustOf } from '../../wire/trust.ts'
import type { Minted } from '../mint.ts'
import type { SourceTools } from '../tools.ts'

interface Wanted {
  readonly impersonationEndpoint: string
  readonly serviceAccount?: string | undefined
  readonly scope: string
  readonly impersonationLifetimeMs: number
  readonly maxLifetimeMs: number
  readonly timeoutMs: number
  readonly tls: { readonly ca?: FileReference | undefined }
  readonly allowPrivate: readonly string[]
}

/**
 * A token of a service account, for one that may impersonate it.
 * @see https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken
 */
export class Impersonation {
  readonly #wanted: Wanted
  readonly #clock: SourceTools['clock']
  readonly #route: IssuerRoute
  readonly #url: URL

  constructor(wanted: Wanted, { clock, dialer, file }: SourceTools) {
    const { tls, allowPrivate, timeoutMs, serviceAccount = '' } = wanted
    this.#wanted = wanted
    this.#clock = clock
    this.#route = { dialer, trust: trustOf(tls.ca && file(tls.ca)), allowPrivate: toBlockList(allowPrivate), timeoutMs }
    const path = `/v1/projects/-/serviceAccounts/${serviceAccount}:generateAccessToken`
    this.#url = new URL(path, wanted.impersonationEndpoint)
  }

  /** Lives as long as it says, and not as its parent: it is another identity's. @throws Problem */
  async mint({ secret, behind, lineage, isGood, sentAt: begunAt }: Minted): Promise<Minted> {
    const { scope, impersonationLifetimeMs, maxLifetimeMs, timeoutMs, serviceAccount } = this.#wanted
    const body = { scope: scope.split(' '), lifetime: `${Math.floor(impersonationLifetimeMs / 1000)}s` }
    const sentAt = { wall: this.#clock.now(), monotonic: this.#clock.monotonic() }
    // One limit for both requests: what the first has used is gone.
    const leftMs = Math.max(1, timeoutMs - (sentAt.monotonic - begunAt.monotonic))
    const answer = await exchange(this.#route, {
      url: this.#url,
      method: 'POST',
      headers: {
        authorization: `Bearer ${secret.reveal()}`,
        'content-type': 'application/json',
        accept: 'application/json',
      },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(leftMs),
    })
    const { token, expiresAt } = read(answer, this.#url.host, sentAt.wall)
    return {
      secret: token,
      sentAt,
      lifetimeMs: Math.min(expiresAt - sentAt.wall, maxLifetimeMs),
      isGood,
      ...(behind && { behind }),
      ...(lineage && { lineage: { ...lineage, actsAs: serviceAccount } }),
    }
  }
}

/** Nothing of the answer is told but its status. */
function read(answer: IssuerAnswer, host: string, now: number): { token: Secret; expiresAt: number } {
  const { status } = answer
  if (status >= 500 || status === 429 || status === 408) {
    const ms = parseRetryAfter(answer.retryAfter, now)
    throw new Problem('credential-unavailable', {
      reason: `${host} answered ${status}`,
      ...(ms !== undefined && { retryAfter: Math.ceil(ms / 1000) }),
    })
  }
  if (status === 403 || status === 404) throw refused(`${host} answered ${status}: ${DENIED}`)
  if (status !== 200) throw refused(`${host} answered ${status} to the impersonation`)
  const members = parseJsonObject(answer.body)
  const token = members?.get('accessToken')
  if (typeof token !== 'string' || !/^[\x20-\x7e]+$/.test(token)) throw senseless(host, 'no accessToken')
  const expireTime = members?.get('expireTime')
  const expiresAt = typeof expireTime === 'string' && RFC3339.test(expireTime) ? Date.parse(expireTime) : Number.NaN
  if (Number.isNaN(expiresAt)) throw senseless(host, 'no expireTime that is a time')
  return { token: new Secret(token), expiresAt }
}

/** @see RFC 3339 section 5.6 */
const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/

const DENIED =
  'the principal of the pool needs roles/iam.workloadIdentityUser, or a token creator’s role, on serviceAccount'

function refused(reason: string): Problem {
  return new Problem('credential-failed', { reason })
}

function senseless(host: string, what: string): Problem {
  return new Problem('credential-failed', { reason: `${host} answered with ${what}`, retryAfter: 1 })
}
