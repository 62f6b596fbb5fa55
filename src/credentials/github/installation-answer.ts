import { Problem } from '../../core/problem.ts'
import { parseRetryAfter } from '../../oauth/answer.ts'
import type { IssuerAnswer } from '../../oauth/exchange.ts'
import { parseJsonObject } from '../../wire/json-object.ts'
import { senseless, type Told } from '../told-token.ts'

/** What an operator is to do about a refusal. */
const REMEDIES: Readonly<Record<number, string>> = {
  401: 'check appId and key, which may have been deleted there, and the clock of this machine',
  403: 'the installation is suspended, or the app may not do this: its owner can see why',
  404: 'check installationId and appId: the app is not installed there, or not any more',
  422: 'repositories or permissions are asked for that the installation does not have: add them there, or leave them out here',
}

/** Where GitHub says that there is a limit, and not until when. */
const UNTOLD_PAUSE_MS = 60_000
/** The window of the primary limit. */
const LONGEST_PAUSE_MS = 3_600_000

/**
 * How long GitHub is to be asked nothing, by an answer of any status; ms, undefined: it may be asked. Whoever goes on asking
 * may be shut out for good.
 * @see https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
 */
export function pauseIn(answer: IssuerAnswer, now: number): number | undefined {
  const isRefused = answer.status === 403 || answer.status === 429
  const told = isRefused ? parseRetryAfter(answer.retryAfter, now) : undefined
  const untilReset = answer.rateLimit?.remaining === '0' ? msUntilReset(answer, now) : undefined
  if (told !== undefined || untilReset !== undefined) return Math.max(told ?? 0, untilReset ?? 0)
  return isRefused && (answer.status === 429 || isAboutLimit(answer)) ? UNTOLD_PAUSE_MS : undefined
}

/** By the clock of GitHub, which has counted it. */
function msUntilReset({ rateLimit, date }: IssuerAnswer, now: number): number {
  const { reset = '' } = rateLimit ?? {}
  if (!/^\d{1,12}$/.test(reset)) return UNTOLD_PAUSE_MS
  return Math.min(Math.max(Number(reset) * 1000 - (date ?? now), 1_000), LONGEST_PAUSE_MS)
}

/** A secondary limit may come without a field; its words are read, and printed nowhere. */
function isAboutLimit({ body }: IssuerAnswer): boolean {
  return /\brate limit\b/i.test(String(parseJsonObject(body)?.get('message')))
}

/**
 * What GitHub says when it is asked for an installation token.
 * @throws Problem `credential-unavailable` when it may pass; `credential-failed` when it lasts, or makes no sense
 * @see https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app
 */
export function readInstallationAnswer(
  answer: IssuerAnswer,
  { host, now }: { readonly host: string; readonly now: number },
): Pick<Told, 'token' | 'expiry'> {
  const { status, retryAfter } = answer
  const pause = status >= 400 ? pauseIn(answer, now) : undefined
  const wait = pause ?? parseRetryAfter(retryAfter, now)
  // A rate limit comes as 403 too.
  if (status >= 500 || status === 408 || pause !== undefined)
    throw new Problem('credential-unavailable', {
      reason: `${host} answered ${status}`,
      ...(wait !== undefined && { retryAfter: Math.ceil(wait / 1000) }),
    })
  if (status >= 300) throw refused(status, host)
  const members = status === 201 ? parseJsonObject(answer.body) : undefined
  if (!members) throw senseless(`${host} sent an answer ${status} that is not a 201 with a JSON object`)
  return { token: members.get('token'), expiry: members.get('expires_at') }
}

/** Whether it was refused because our clock and that of GitHub differ. Its words are read, and printed nowhere. */
export function isAboutClock({ status, body }: IssuerAnswer): boolean {
  return status === 401 && /'(?:Issued at|Expiration time)' claim/.test(String(parseJsonObject(body)?.get('message')))
}

function refused(status: number, host: string): Problem {
  const remedy = REMEDIES[status] ?? (status < 400 ? 'redirects are not followed: check apiUrl' : 'check apiUrl')
  return new Problem('credential-failed', { reason: `${host} answered ${status}: ${remedy}` })
}
