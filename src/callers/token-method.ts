import type { Evidence, ProvenToken } from '../core/ask.ts'
import type { Clock } from '../core/clock.ts'
import type { Secret } from '../core/secret.ts'
import type { CallerMethod, Effort, Finding, Wrong } from './method.ts'
import { onlyKeyOf, readToken, type Token } from './token.ts'
import { TokenCache } from './token-cache.ts'
import { isWithin, type Span } from './token-proof.ts'

/** What judging a token came to. Kept where there is a span. */
export interface Judgement {
  readonly finding: Finding
  readonly span?: Span
  /** When the token itself ends; ms on the monotonic clock. */
  readonly endsAt?: number
  /** Whether what it rests on is still there: the key of the issuer, say. Asked at each use; may throw. */
  holds?(): boolean | Promise<boolean>
}

/** What makes one kind of token differ from another. */
export interface TokenKind {
  readonly kind: string
  readonly clock: Clock
  /**
   * Looks at what can be seen at once. Undefined: a token of somebody else. A function: nothing was found wrong, and this
   * is what costs; called once for all who show the same token at the same time.
   */
  judge(token: Token): Wrong | (() => Promise<Judgement>) | undefined
}

/** Tokens that are remembered; of a busy sidecar that is a few MB. */
const MAX_TOKENS = 10_000

/** A method that reads tokens: what was judged once is looked up until it ends, or what it rests on is gone. */
export class TokenMethod implements CallerMethod {
  readonly kind: string
  readonly #token: TokenKind
  readonly #cache = new TokenCache<Judgement, Judgement>(MAX_TOKENS)

  constructor(token: TokenKind) {
    this.kind = token.kind
    this.#token = token
  }

  identify(evidence: Evidence, effort: Effort = 'any'): Finding | Promise<Finding> {
    const shown = onlyKeyOf(evidence)
    if (!shown) return 'silent'
    const known = this.#cache.find(shown)
    if (!known) return this.#judge(shown, effort)
    // It stays known that it has ended: whoever sets the wall clock back makes no token live again.
    if (known.endsAt !== undefined && this.#token.clock.monotonic() >= known.endsAt) return ENDED
    const holds = this.#holds(known)
    if (holds === true) return known.finding
    // It was known, so that its peer's failures are no reason not to look again.
    if (holds === false) return this.#judge(shown, 'any')
    return holds.then((stillHolds) => (stillHolds ? known.finding : this.#judge(shown, 'any')))
  }

  #holds({ span, holds }: Judgement): boolean | Promise<boolean> {
    if (!span || !isWithin(span, this.#token.clock)) return false
    try {
      const still = holds?.() ?? true
      return still instanceof Promise ? still.catch(() => false) : still
    } catch {
      return false
    }
  }

  #judge(shown: Secret, effort: Effort): Finding | Promise<Finding> {
    const token = readToken(shown)
    if (token === undefined) return 'silent'
    if (typeof token === 'string') return rejected(token)
    const judge = this.#token.judge(token)
    if (judge === undefined) return 'silent'
    if (typeof judge !== 'function') return judge
    if (effort === 'known') return UNSEEN
    const { secret, claims } = token
    const judging = async () => withToken(await judge(), { secret, claims })
    return this.#cache.once(shown, () => this.#keep(shown, judging())).then(({ finding }) => finding)
  }

  async #keep(shown: Secret, judging: Promise<Judgement>): Promise<Judgement> {
    const judgement = await judging
    if (judgement.span) this.#cache.keep(shown, withEarlierEnd(judgement, this.#cache.find(shown)))
    // From now on it costs its peer what any wrong proof does.
    else if (!isOurs(judgement.finding)) this.#cache.drop(shown)
    return judgement
  }
}

function withToken(judgement: Judgement, token: ProvenToken): Judgement {
  const { finding } = judgement
  if (typeof finding !== 'object' || finding.caller === undefined) return judgement
  return { ...judgement, finding: { ...finding, token } }
}

function isOurs(finding: Finding): boolean {
  return typeof finding === 'object' && 'isOurs' in finding
}

/** Judged again, a token ends no later than it was to end before. */
function withEarlierEnd(judgement: Judgement, before: Judgement | undefined): Judgement {
  if (before?.endsAt === undefined) return judgement
  return { ...judgement, endsAt: Math.min(before.endsAt, judgement.endsAt ?? before.endsAt) }
}

const ENDED = rejected('it has expired')

const UNSEEN: Wrong = {
  wrong: 'too-many-failures',
  reason: 'a token that was not seen before, from where too many wrong proofs come',
}

/** A token that proves nobody, and why, in words for the record. */
export function rejected(reason: string, { isOurs = false } = {}): Wrong {
  return isOurs ? { wrong: 'proof-unverifiable', reason, isOurs } : { wrong: 'token-rejected', reason }
}
