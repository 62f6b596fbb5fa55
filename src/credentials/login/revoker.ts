import { setTimeout as wait } from 'node:timers/promises'
import type { LoginPlace } from '../../core/login.ts'
import { Problem } from '../../core/problem.ts'
import type { Secret } from '../../core/secret.ts'
import type { TokenEndpoint, Unwanted } from '../../oauth/endpoint.ts'
import { IssuerRefusal } from '../../oauth/refusal.ts'
import { isLasting } from '../mint.ts'
import type { Revocation, Revoking } from './desk.ts'
import type { Logins } from './logins.ts'

/** What a revoker works with. */
export interface RevokerTerms {
  readonly endpoint: Pick<TokenEndpoint, 'revoke'>
  readonly logins: Pick<Logins, 'find'> | undefined
  /** As the settings have it; `none`: nobody is told. */
  readonly revocationEndpoint: string | undefined
  /** Aborts when everything closes: who waits for another try is told that there is none. */
  readonly ending?: AbortSignal | undefined
  /** Called once for each, at its end. Must not throw. */
  tell?(event: RevocationEvent): void
  /** Between one try and the next, at least; ms. There is one try more than there are of these. */
  readonly pausesMs?: readonly number[]
  /** For as long `first` waits. */
  readonly patienceMs?: number
}

/** How it went at last, for the log. */
export interface RevocationEvent {
  readonly place: LoginPlace
  readonly revocation: Revocation
  /** What an operator should know although it went well. Our own words. */
  readonly warnings: readonly string[]
}

/** What was given for a login: the refresh token goes first, since issuers end with it what they have given for it. */
export interface Leavings {
  readonly refreshToken?: Secret | undefined
  readonly accessTokens: readonly (Secret | undefined)[]
}

type Left = Pick<Unwanted, 'token' | 'hint'>

/** Six tries in a quarter of an hour: an issuer that is longer away has people who look after it. */
const PAUSES_MS = [1_000, 5_000, 30_000, 120_000, 600_000]
const PATIENCE_MS = 10_000
/** Of those that wait for another try, each with its tokens in memory. */
const MAX_WAITING = 1_000

/**
 * Tells an issuer that what it gave for a login is to end. The login is gone here by then, whatever comes of this. What may
 * pass is tried again, in this process alone; what is over is told once.
 * @see RFC 7009
 */
export class Revoker {
  readonly #terms: RevokerTerms
  #waiting = 0

  constructor(terms: RevokerTerms) {
    this.#terms = terms
  }

  /** Begins at once. Neither promise ever rejects. */
  begin(place: LoginPlace, { refreshToken, accessTokens }: Leavings): Revoking {
    const work = new Work(place, [
      ...(refreshToken ? [{ token: refreshToken, hint: 'refresh_token' } as const] : []),
      ...onlyOnce(accessTokens).map((token) => ({ token, hint: 'access_token' }) as const),
    ])
    return this.#watched(work, (soon) => this.#work(work, soon))
  }

  /** Of what nobody could try: there is nothing to be told to the issuer. */
  refuse(place: LoginPlace, reason: string): Revoking {
    return this.#watched(new Work(place, []), async () => ({ outcome: 'failed', tries: 0, reason }))
  }

  #watched(work: Work, run: (soon: (sofar: Revocation) => void) => Promise<Revocation>): Revoking {
    const { ending, tell, patienceMs = PATIENCE_MS } = this.#terms
    const first = Promise.withResolvers<Revocation>()
    const last = Promise.withResolvers<Revocation>()
    const soon = (sofar: Revocation) => first.resolve(sofar)
    const patience = setTimeout(() => soon(work.pending('the issuer has not answered yet')), patienceMs).unref()
    const stop = () => last.resolve(work.failed(work.tries === 0 ? STOPPED : `${STOPPED}; ${work.reason}`))
    ending?.addEventListener('abort', stop, { once: true })
    void run(soon).then((revocation) => last.resolve(revocation))
    const told = last.promise.then((revocation) => {
      clearTimeout(patience)
      ending?.removeEventListener('abort', stop)
      soon(revocation)
      tell?.({ place: work.place, revocation, warnings: work.warnings })
      return revocation
    })
    return { first: first.promise, last: told }
  }

  async #work(work: Work, soon: (sofar: Revocation) => void): Promise<Revocation> {
    const { revocationEndpoint, pausesMs = PAUSES_MS, logins, ending } = this.#terms
    if (work.left.length === 0) return { outcome: 'nothing', tries: 0 }
    if (revocationEndpoint === 'none') return { outcome: 'not-offered', tries: 0 }
    for (const pauseMs of [...pausesMs, undefined]) {
      const problem = await this.#try(work)
      if (problem === 'not-offered') return { outcome: 'not-offered', tries: 0 }
      if (!problem) return work.done()
      if (isLasting(problem) || pauseMs === undefined || this.#waiting >= MAX_WAITING) break
      soon(work.pending(work.reason))
      await this.#pause(Math.max(pauseMs, (problem.retryAfter ?? 0) * 1000))
      // The pause was cut short, and so would be every other: it has been told that there is no other try.
      if (ending?.aborted) return work.failed(`${STOPPED}; ${work.reason}`)
      // Some issuers end all that a person has consented to with any part of it.
      if (logins?.find(work.place)?.isAlive) return work.failed(`${work.reason}; ${AGAIN}`)
    }
    return work.failed(work.reason)
  }

  /** One after the other; what is done is not done again. */
  async #try(work: Work): Promise<Problem | 'not-offered' | undefined> {
    const { endpoint, revocationEndpoint, ending } = this.#terms
    work.tries += 1
    for (let next = work.left[0]; next; next = work.left[0]) {
      try {
        const revoked = await endpoint.revoke({ ...next, revocationEndpoint, ending })
        if (!revoked) return 'not-offered'
        if (revoked.warning !== undefined) work.warnings.push(revoked.warning)
        if (next.hint === 'refresh_token') work.isSourceEnded = true
      } catch (error) {
        const problem = asProblem(error)
        if (!work.passesOver(problem, next)) {
          work.reason = problem.reason
          return problem
        }
      }
      work.left.shift()
    }
    return undefined
  }

  async #pause(ms: number): Promise<void> {
    const { ending } = this.#terms
    this.#waiting += 1
    await wait(ms, undefined, { ref: false, ...(ending && { signal: ending }) }).catch(() => undefined)
    this.#waiting -= 1
  }
}

/** One login that is being revoked. */
class Work {
  readonly place: LoginPlace
  readonly left: Left[]
  readonly warnings: string[] = []
  tries = 0
  /** Why the last try was in vain. */
  reason = 'nothing was answered'
  /** Nothing new can be got any more. */
  isSourceEnded = false
  /** What could not be done and need not be tried again. */
  #remains: { readonly outcome: 'revoked' | 'failed'; readonly reason: string } | undefined

  constructor(place: LoginPlace, left: Left[]) {
    this.place = place
    this.left = left
  }

  /** Whether there is nothing more to be done about this one, while there may be about the others. */
  passesOver(problem: Problem, { hint }: Left): boolean {
    if (isUnsupported(problem) && hint === 'refresh_token') {
      this.#remains = { outcome: 'failed', reason: NO_REFRESH_TOKENS }
      return true
    }
    const isEnough = isUnsupported(problem) || (this.isSourceEnded && isLasting(problem))
    if (hint === 'refresh_token' || !isEnough) return false
    const why = isUnsupported(problem) ? 'the issuer revokes none (unsupported_token_type)' : problem.reason
    this.#remains ??= { outcome: 'revoked', reason: `an access token may be good until it expires: ${why}` }
    return true
  }

  pending(reason: string): Revocation {
    return { outcome: 'pending', tries: this.tries, reason }
  }

  failed(reason: string): Revocation {
    return { outcome: 'failed', tries: this.tries, reason }
  }

  /** All that could be done is done. */
  done(): Revocation {
    return { outcome: 'revoked', tries: this.tries, ...this.#remains }
  }
}

const AGAIN = 'it was not tried again, because somebody has logged in there since'
const STOPPED = 'Sallyport was stopped before it was done'
const NO_REFRESH_TOKENS = 'the issuer revokes no refresh tokens (unsupported_token_type)'

function onlyOnce(secrets: readonly (Secret | undefined)[]): readonly Secret[] {
  const found: Secret[] = []
  for (const secret of secrets) if (secret && !found.some((one) => one.equals(secret))) found.push(secret)
  return found
}

function isUnsupported(problem: Problem): boolean {
  return problem instanceof IssuerRefusal && problem.error === 'unsupported_token_type'
}

function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  return new Problem('credential-failed', { reason: 'the revocation failed in a way nobody foresaw', cause: error })
}
