import type { Clock } from '../../core/clock.ts'
import { Problem } from '../../core/problem.ts'
import type { HeldSecret } from '../../core/secret.ts'
import { toBlockList } from '../../forms/network.ts'
import { exchange, type IssuerAnswer, type IssuerRoute } from '../../oauth/exchange.ts'
import { signJwt } from '../../oauth/sign-jwt.ts'
import { longLivedOf } from '../../secrets/reference.ts'
import { trustOf } from '../../wire/trust.ts'
import { isLasting, type Minted } from '../mint.ts'
import { mintedFrom } from '../told-token.ts'
import type { SourceTools } from '../tools.ts'
import { isAboutClock, pauseIn, readInstallationAnswer } from './installation-answer.ts'
import type { GithubAppSettings } from './settings.ts'

/** GitHub takes ten minutes at most, from its own clock on. */
const JWT_LIFETIME_MS = 540_000
/**
 * That many refusals in a minute are enough: repositories are named by callers, and GitHub counts requests of the app. So
 * many of one caller, that no other caller is without tokens for it; and of all together, at which nobody is asked for any more.
 */
const MAX_REFUSALS = { ofOne: 20, ofAll: 100 }
const MINUTE_MS = 60_000

/** One installation of a GitHub App. Any number of mints at once. */
export class Installation {
  readonly #settings: GithubAppSettings
  readonly #clock: Clock
  readonly #route: IssuerRoute
  readonly #key: HeldSecret
  readonly #url: URL
  /** On the monotonic clock, the latest last. */
  #refusals: { readonly at: number; readonly caller: string | undefined }[] = []

  /** Until then nothing is asked, for whichever repository: on the monotonic clock. */
  #pausedUntil = Number.NEGATIVE_INFINITY

  constructor(settings: GithubAppSettings, tools: SourceTools) {
    const { tls, allowPrivate, timeoutMs, key, apiUrl, installationId } = settings
    this.#settings = settings
    this.#clock = tools.clock
    this.#key = tools.secret(key)
    this.#route = {
      dialer: tools.dialer,
      trust: trustOf(tls.ca && tools.file(tls.ca)),
      allowPrivate: toBlockList(allowPrivate),
      timeoutMs,
    }
    this.#url = new URL(`${apiUrl}/app/installations/${installationId}/access_tokens`)
  }

  /** Of the private key. */
  keyVersion(): number {
    return this.#key.current().version
  }

  /**
   * A token for these repositories, or without them for all that the installation has. `caller`: who has named them.
   * @throws Problem `credential-unavailable`, `credential-failed`
   */
  async mint(repositories: readonly string[] | undefined, caller?: string): Promise<Minted> {
    this.#refuseWhilePaused()
    this.#refuseFlood(caller)
    try {
      return await this.#ask(repositories)
    } catch (error) {
      if (error instanceof Problem && isLasting(error)) this.#refusals.push({ at: this.#clock.monotonic(), caller })
      throw error
    }
  }

  async #ask(repositories: readonly string[] | undefined): Promise<Minted> {
    const { permissions, key: reference } = this.#settings
    const { host } = this.#url
    const behind = longLivedOf(reference, this.#key)
    const body = JSON.stringify({ ...(repositories && { repositories }), ...(permissions && { permissions }) })
    const signal = AbortSignal.timeout(this.#settings.timeoutMs)
    const sentAt = { wall: this.#clock.now(), monotonic: this.#clock.monotonic() }
    let answer = await this.#send(body, sentAt.wall, signal)
    const warnings: string[] = []
    if (answer.date !== undefined && isAboutClock(answer)) {
      const seconds = Math.round((answer.date - sentAt.wall) / 1000)
      warnings.push(`the clock of ${host} is ${seconds} s ahead of ours: set the clock of this machine`)
      answer = await this.#send(body, answer.date, signal)
    }
    const pause = pauseIn(answer, sentAt.wall)
    if (pause !== undefined) this.#pausedUntil = this.#clock.monotonic() + pause
    const told = readInstallationAnswer(answer, { host, now: sentAt.wall })
    return { ...mintedFrom({ who: host, ...told, sentAt, saidAt: answer.date }, this.#settings), behind, warnings }
  }

  async #send(body: string, now: number, signal: AbortSignal): Promise<IssuerAnswer> {
    const { secret } = this.#key.current()
    const claims = { iss: this.#settings.appId }
    const { jwt } = await signJwt(secret, { alg: 'RS256', claims, lifetimeMs: JWT_LIFETIME_MS, now })
    const headers = {
      authorization: `Bearer ${jwt.reveal()}`,
      accept: 'application/vnd.github+json',
      'content-type': 'application/json',
      'user-agent': 'sallyport',
      'x-github-api-version': '2022-11-28',
    }
    return exchange(this.#route, { url: this.#url, method: 'POST', headers, body, signal })
  }

  #refuseWhilePaused(): void {
    const left = this.#pausedUntil - this.#clock.monotonic()
    if (left <= 0) return
    throw new Problem('credential-unavailable', {
      reason: `${this.#url.host} wants to be asked nothing until its rate limit is over`,
      retryAfter: Math.ceil(left / 1000),
    })
  }

  /** One supply remembers its own refusal; a caller who names one repository after the other asks many. */
  #refuseFlood(caller: string | undefined): void {
    const since = this.#clock.monotonic() - MINUTE_MS
    this.#refusals = this.#refusals.filter(({ at }) => at > since)
    const own = this.#refusals.filter((refusal) => refusal.caller === caller)
    const isOwn = own.length >= MAX_REFUSALS.ofOne
    const counted = isOwn ? own : this.#refusals
    const [first] = counted
    if (!first || (!isOwn && counted.length < MAX_REFUSALS.ofAll)) return
    const whom = isOwn && caller !== undefined ? ` to ${caller}` : ''
    throw new Problem('credential-unavailable', {
      reason: `${this.#url.host} has refused ${counted.length} tokens${whom} within a minute: it is left alone for the rest of it`,
      retryAfter: Math.ceil((first.at - since) / 1000),
    })
  }
}
