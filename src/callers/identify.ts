import type { Caller, Evidence } from '../core/ask.ts'
import type { ProblemCode } from '../core/problem.ts'
import type { FailureLimit } from './failures.ts'
import type { CallerMethod, Effort, Finding, Proved } from './method.ts'
import { rememberProof } from './proof.ts'
import { isToken, onlyKeyOf } from './token.ts'

/** Nobody, with a stable code for the answer and a reason for the record. */
export interface Unproved {
  readonly code: ProblemCode
  readonly reason: string
  /** Seconds until another try may be worth it. */
  readonly retryAfter?: number
  /** It could not be judged, so that it does not count as a failure. */
  readonly isOurs?: true
  readonly name?: undefined
}

/** Who asks. At once where that can be looked up. `isAgain`: it has been asked before, so that a no is no failure of anybody. */
export type Identify = (evidence: Evidence, isAgain?: boolean) => Caller | Unproved | Promise<Caller | Unproved>

/** What is known of the names of callers. */
export interface CallerNames {
  /** A caller of the settings or of the store. */
  isKnown(name: string): boolean
  /** Whether somebody else's proofs could make this name, too: a grant to it would be anybody's guess. */
  isAmbiguous(name: string, madeBy: string): boolean
}

interface Parts {
  /** Methods for proofs that are shown, in the order in which they are asked. */
  readonly shown: readonly CallerMethod[]
  /** Methods for where a caller stands. */
  readonly places: readonly CallerMethod[]
  readonly names: CallerNames
  readonly failures: FailureLimit
  /** A proof may be a token. */
  readonly readsTokens: boolean
  /** Settings of a caller of that kind whose proof is not asked for again; undefined for all others. */
  settingsBehind?(by: string, kind: string): object | undefined
}

/** Makes the one question that is put to all methods: a proof that was shown beats where the caller stands. */
export function createIdentify({ shown, places, names, failures, readsTokens, settingsBehind }: Parts): Identify {
  return function identify(evidence, isAgain = false) {
    const shows = showsKey(evidence)
    const isCounted = shows && !isAgain
    const effort: Effort = isAgain || (shows && failures.isOver(evidence)) ? 'known' : 'any'
    const inquiry = { evidence, effort, names, settingsBehind }
    const ending = (found: Unproved) => (isCounted && !found.isOurs && failures.count(evidence) ? TOO_MANY : found)
    return settle(askEach(shown, { ...inquiry, isShown: true }, shows ? WRONG : NOTHING), (found) => {
      if (found.name !== undefined) return found
      const wrong = found === WRONG && readsTokens ? wrongKey(evidence) : found
      // A Proxy-Authorization is meant for us alone. Where it proves nobody, falling through to where the caller stands
      // would answer a question it did not ask.
      if (evidence.keysAre === 'certain' && wrong !== NOTHING) return ending(wrong)
      const otherwise = evidence.certificate ? STRANGER : NOTHING
      return settle(askEach(places, { ...inquiry, isShown: false }, otherwise), (stands) =>
        // A certificate that proves nobody is no way around the count of wrong keys.
        stands.name === undefined ? ending(stands === NOTHING ? wrong : stands) : stands,
      )
    })
  }
}

const NOTHING: Unproved = { code: 'caller-unknown', reason: 'no proof' }
/** Also where a caller could be known by no certificate at all: one was shown. */
const STRANGER: Unproved = { code: 'certificate-unknown', reason: 'no caller is known by this certificate' }
const WRONG: Unproved = { code: 'caller-unknown', reason: 'a wrong proof' }
const FOREIGN: Unproved = { code: 'token-rejected', reason: 'a token of an issuer that no caller names' }
const TOO_MANY: Unproved = {
  code: 'too-many-failures',
  reason: 'a wrong proof, from where too many of them come',
  retryAfter: 1,
}

/** Keys that could not be fetched are fetched again after two seconds, and then ever later. */
const UNVERIFIABLE_S = 5

function wrongKey(evidence: Evidence): Unproved {
  const key = onlyKeyOf(evidence)
  return key && isToken(key) ? FOREIGN : WRONG
}

interface Inquiry {
  readonly evidence: Evidence
  /** Methods of proofs that are shown are asked, not those of places. */
  readonly isShown: boolean
  readonly effort: Effort
  readonly names: CallerNames
  readonly settingsBehind: Parts['settingsBehind']
}

/** The first method that knows the caller; otherwise what the last one that said why had against the proof. */
function askEach(
  methods: readonly CallerMethod[],
  inquiry: Inquiry,
  otherwise: Unproved,
): Caller | Unproved | Promise<Caller | Unproved> {
  const [method, ...rest] = methods
  if (!method) return otherwise
  const { evidence, effort } = inquiry
  return settle(method.identify(evidence, effort), (finding) => {
    const told = toldBy(finding, method, inquiry)
    if (told?.name !== undefined) return told
    // "A wrong proof" says less than what another method found wrong with it.
    return askEach(rest, inquiry, told === undefined || (told === WRONG && otherwise !== NOTHING) ? otherwise : told)
  })
}

function toldBy(finding: Finding, { kind }: CallerMethod, inquiry: Inquiry): Caller | Unproved | undefined {
  if (finding === 'silent') return undefined
  if (finding === 'wrong') return WRONG
  if (finding.caller !== undefined) return faultOfName(finding, inquiry) ?? proved(finding, kind, inquiry)
  const { wrong: code, reason, isOurs } = finding
  const retryAfter = isOurs ? UNVERIFIABLE_S : code === TOO_MANY.code ? TOO_MANY.retryAfter : undefined
  return { code, reason, ...(isOurs && { isOurs }), ...(retryAfter !== undefined && { retryAfter }) }
}

function proved(finding: Proved, kind: string, inquiry: Inquiry): Caller {
  const caller = callerOf(finding, kind, isKeyProof(inquiry))
  const by = finding.madeBy ?? finding.caller
  const settings = inquiry.settingsBehind?.(by, kind)
  if (settings) rememberProof(caller, by, settings)
  return caller
}

/** What a proof says is worth no name of the settings; and a name beside it may be anything but somebody else's. */
function faultOfName({ caller, madeBy }: Proved, { evidence, names, isShown }: Inquiry): Unproved | undefined {
  const { keys } = evidence
  if (madeBy !== undefined && (names.isKnown(caller) || names.isAmbiguous(caller, madeBy))) {
    const reason = `the name that its ${isShown ? 'claims make' : 'certificate makes'} for ${madeBy} may be somebody else’s`
    return { code: isShown ? 'token-rejected' : 'certificate-unknown', reason }
  }
  const beside = keys.length === 1 ? keys[0]?.caller : undefined
  // The settings call a caller by the one name, and its claims by another: nobody else goes by the first.
  const isOther = beside !== undefined && beside !== caller && beside !== madeBy && names.isKnown(beside)
  return isOther ? { code: 'caller-unknown', reason: 'a proof of one caller beside the name of another' } : undefined
}

/** Of where a caller stands, by a certificate too, a key is no part: it may be meant for the upstream. */
function isKeyProof({ isShown, evidence: { keys, keysAre } }: Inquiry): boolean {
  return isShown && keysAre === 'maybe' && keys.length > 0
}

function callerOf(
  { caller: name, groups, details, scopes, token }: Proved,
  method: string,
  keyIsProof: boolean,
): Caller {
  return {
    name,
    method,
    ...(groups && { groups }),
    ...(scopes && { scopes }),
    ...(token && { token }),
    ...(details && { details }),
    ...(keyIsProof && { keyIsProof }),
  }
}

/** Goes on at once with what is there at once: a key is looked up for every request, and none should wait for nothing. */
function settle<A, B>(value: A | Promise<A>, goOn: (value: A) => B | Promise<B>): B | Promise<B> {
  return value instanceof Promise ? value.then(goOn) : goOn(value)
}

function showsKey({ keys, unreadable }: Evidence): boolean {
  return keys.length > 0 || unreadable === true
}
