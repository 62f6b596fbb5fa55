import { Problem } from '../../core/problem.ts'
import type { Purpose } from '../../core/purpose.ts'
import type { Granted, TokenEndpoint } from '../../oauth/endpoint.ts'
import { advised, IssuerRefusal } from '../../oauth/refusal.ts'
import type { Minted } from '../mint.ts'
import { mintedOf } from '../minted-of.ts'
import { clientOf } from '../optional-client.ts'
import type { Principals } from './principal.ts'
import type { Subjects, SubjectToken } from './subject.ts'
import { uriOfType } from './subject-settings.ts'

const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:token-exchange'
/** What can be injected although nobody has asked for it by name. */
const USABLE: ReadonlySet<string> = new Set(['access_token', 'jwt'].map(uriOfType))

/** What stays the same from one exchange to the next. Types are URIs. */
export interface ExchangeTerms {
  /** '': the request names no client. */
  readonly clientId: string
  readonly subjectType: string
  readonly actorType: string | undefined
  readonly requested: string | undefined
  /** An answer need not say what was issued. */
  readonly mayBeUntyped: boolean
  readonly parameters: readonly (readonly [name: string, value: string])[]
  readonly limits: Parameters<typeof mintedOf>[1]
}

interface Parts {
  readonly endpoint: TokenEndpoint
  readonly subjects: Subjects
  readonly actors?: Subjects | undefined
  readonly principals?: Principals | undefined
  readonly terms: ExchangeTerms
}

interface Tokens {
  readonly subject: SubjectToken
  readonly actor: SubjectToken | undefined
}

/** One token for another, each time anew. @see RFC 8693 section 2 */
export class Exchange {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /**
   * There is no way on without an exchange: what cannot be exchanged is not used in place of what it was for.
   * @throws Problem `credential-failed`, `credential-unavailable`
   */
  async mint(purpose?: Purpose): Promise<Minted> {
    const { subjects, actors, terms } = this.#parts
    const actor = await actors?.current(purpose)
    const subject = await subjects.current(purpose)
    const { granted, used } = await this.#exchange({ subject, actor }, purpose)
    refuseOther(granted, terms)
    refuseSame(granted, used, actor)
    const minted = mintedOf(granted, terms.limits)
    const behind = minted.behind ?? used.behind
    const actsAs = this.#chosen(purpose)
    return {
      ...minted,
      ...within(minted, used, subjects.isFixed),
      isGood: allGood([minted, used, actor]),
      ...(behind && { behind }),
      lineage: { subject: used.origin, ...(actsAs !== undefined && { actsAs }) },
    }
  }

  /** Once more with another token where that of another connection has become worthless before its time. */
  async #exchange({ subject, actor }: Tokens, purpose: Purpose | undefined) {
    try {
      return { granted: await this.#ask({ subject, actor }, purpose), used: subject }
    } catch (error) {
      const other = isAboutToken(error) ? await subject.renew?.() : undefined
      if (!other) throw error
      return { granted: await this.#ask({ subject: other, actor }, purpose), used: other }
    }
  }

  async #ask({ subject, actor }: Tokens, purpose: Purpose | undefined): Promise<Granted> {
    const { endpoint, terms } = this.#parts
    const clientId = this.#chosen(purpose) ?? terms.clientId
    const asked = endpoint.request({
      grantType: GRANT_TYPE,
      parameters: [
        ['subject_token', subject.token.reveal()],
        ['subject_token_type', terms.subjectType],
        ...(actor ? ([['actor_token', actor.token.reveal()]] as const) : []),
        ...(actor && terms.actorType !== undefined ? ([['actor_token_type', terms.actorType]] as const) : []),
        ...terms.parameters,
      ],
      ...clientOf(clientId),
      tokenTypes: canBeNamed(terms) ? ['bearer', 'n_a'] : ['bearer'],
    })
    return asked.catch((error: unknown) => {
      throw advised(error, ABOUT_TOKEN, NOT_TAKEN)
    })
  }

  #chosen(purpose: Purpose | undefined): string | undefined {
    return purpose && this.#parts.principals?.of(purpose)
  }
}

/** What was given in exchange ends with what it was given for: whoever has logged out is not acted for any more. */
function allGood(all: readonly (Pick<Minted, 'isGood'> | undefined)[]): Minted['isGood'] {
  const conditions = all.flatMap((one) => one?.isGood ?? [])
  return conditions.length === 0 ? undefined : () => conditions.every((isGood) => isGood())
}

/** A token of a type that was asked for is what is to be injected, access token or not. */
function canBeNamed({ requested }: ExchangeTerms): boolean {
  return requested !== undefined && requested !== uriOfType('access_token')
}

/** @see RFC 8693 section 2.2.1 */
function refuseOther({ issuedTokenType: issued }: Granted, { requested, mayBeUntyped }: ExchangeTerms): void {
  if (issued === undefined && mayBeUntyped) return
  if (issued === undefined) throw senseless('no issued_token_type, which RFC 8693 demands')
  const isWanted = requested === undefined ? USABLE.has(issued) : issued === requested
  if (!isWanted) throw senseless('another type of token than the one that is wanted: see requestedTokenType')
}

/** The token that came is never sent on, whoever says that it is the new one. */
function refuseSame({ accessToken }: Granted, subject: SubjectToken, actor: SubjectToken | undefined): void {
  if (subject.token.equals(accessToken) || actor?.token.equals(accessToken))
    throw senseless('the very token that it was to exchange')
}

function senseless(what: string): Problem {
  return new Problem('credential-failed', { reason: `the issuer answered the exchange with ${what}`, retryAfter: 1 })
}

/** @see RFC 8693 section 2.2.2, which says invalid_request where many servers say invalid_grant */
function isAboutToken(error: unknown): boolean {
  return error instanceof IssuerRefusal && ABOUT_TOKEN.includes(error.error)
}

const ABOUT_TOKEN = ['invalid_grant', 'invalid_request']
const NOT_TAKEN =
  'what is exchanged was not taken: compare its iss, aud and sub, and subjectTokenType, with what is registered there'

/**
 * No longer than the subject's own token, whatever the issuer promises: some copy its `exp` and say an hour all the same.
 * With the same subject token there is then nothing better to be had.
 */
function within({ lifetimeMs, sentAt }: Minted, { expiresAt }: SubjectToken, isFixed: boolean) {
  if (expiresAt === undefined) return {}
  const left = expiresAt - sentAt.wall
  return { lifetimeMs: Math.min(lifetimeMs, left), ...(isFixed && lifetimeMs >= left && { isLast: true }) }
}
