import type { Caller, Target } from './ask.ts'
import { ceilingText, isBelowCeiling } from './ceiling.ts'
import { type Grant, grantsFor, hasEnded } from './grants.ts'
import { parseName } from './host.ts'
import { hasOneReading, isBelow } from './path.ts'
import type { Place, Policy, Question } from './policy.ts'
import { type Refusal, refuse } from './refusal.ts'
import { type Waiver, waiverOf } from './waiver.ts'

interface Terms {
  readonly caller: Caller
  readonly connection: string
  readonly host: string
  readonly port: number
  readonly path: string
  readonly grant: string
  readonly rule: number | undefined
  readonly until: number | undefined
  readonly wouldRefuse: Refusal | undefined
}

/**
 * Yes. Whoever obtains or spends a credential asks for one of these, and only `decide` makes them: a look-alike does not
 * type-check, because of the private field, and `isPermit` finds a forged one at run time.
 */
class PermitOfDecide implements Terms {
  readonly permitted = true
  readonly #decided = true
  readonly caller: Caller
  readonly connection: string
  readonly host: string
  readonly port: number
  /** The path to send, base path included: the one the rules judged. */
  readonly path: string
  readonly grant: string
  /** Index of the rule that matched; undefined when the grant has none. */
  readonly rule: number | undefined
  /** When the grant ends, and with it whatever the permit began; ms since the epoch. */
  readonly until: number | undefined
  /** What a grant in report mode would have said; never of a connection that injects. */
  readonly wouldRefuse: Refusal | undefined

  constructor(terms: Terms) {
    this.caller = terms.caller
    this.connection = terms.connection
    this.host = terms.host
    this.port = terms.port
    this.path = terms.path
    this.grant = terms.grant
    this.rule = terms.rule
    this.until = terms.until
    this.wouldRefuse = terms.wouldRefuse
  }

  static owns(value: object): boolean {
    return #decided in value && value.#decided
  }

  get reason(): string {
    if (this.wouldRefuse) return `grant ${this.grant} is in report mode: ${this.wouldRefuse.reason}`
    const rule = this.rule === undefined ? '' : `, rule ${this.rule}`
    return `grant ${this.grant}${rule} lets ${this.caller.name} use ${this.connection}`
  }
}

export type Permit = PermitOfDecide

/** True only of what `decide` made. */
export function isPermit(value: unknown): value is Permit {
  return typeof value === 'object' && value !== null && PermitOfDecide.owns(value)
}

/** The one decision: both gates, in order, on facts alone. */
export function decide(question: Question, policy: Policy): Permit | Waiver | Refusal {
  if (policy.isLost) return LOST
  const route = resolve(question, policy)
  if ('permitted' in route) return waiverOf(question, route, policy) ?? route
  return judgeGrants(question, route, policy)
}

interface Route {
  readonly place: Place
  readonly host: string
  readonly path: string
}

/** Gate 1: where egress may go, whoever asks. */
function resolve(question: Question, policy: Policy): Route | Refusal {
  const { target, path } = question
  return target.kind === 'name' ? resolveName(target, path, policy) : resolveConnection(question, target, policy)
}

/** The connection that a host means, if egress may go there at all. */
export function placeOf(host: string, policy: Policy): Place | Refusal {
  if (policy.allowlist.find(host) === undefined) return refuse('host-not-allowed', `${host} is not on the allowlist`)
  return policy.places.find(host) ?? refuse('connection-missing', `no connection names ${host}`)
}

function resolveName(target: Target & { kind: 'name' }, path: string, policy: Policy): Route | Refusal {
  const { host, port } = target
  const place = placeOf(host, policy)
  if ('permitted' in place) return place
  const connection = { connection: place.name }
  if (port !== undefined && port !== place.port) {
    return refuse('port-not-allowed', `port ${port} of ${host} is not the connection's port, ${place.port}`, connection)
  }
  if (place.basePath !== '' && !(hasOneReading(path) && isBelow(path, place.basePath))) {
    return refuse('path-not-allowed', `the path is not below the connection's base path`, connection)
  }
  return { place, host, path }
}

type ConnectionTarget = Target & { readonly kind: 'connection' }

function resolveConnection({ caller, path }: Question, target: ConnectionTarget, policy: Policy): Route | Refusal {
  const place = policy.placesByName.get(target.name)
  if (!place?.home) return unknownConnection(target)
  const connection = { connection: place.name }
  if (target.called !== undefined && grantsFor(caller, place.name, policy.grants).length === 0) {
    return ungranted(caller, place.name)
  }
  const host = hostOf(target, place, policy)
  if (host === undefined)
    return refuse('host-not-allowed', 'the sub-domain makes no host of the connection', connection)
  if (policy.allowlist.find(host) === undefined) {
    return refuse('host-not-allowed', `${host} is not on the allowlist`, connection)
  }
  // Without this, "/../admin" would climb out of the base path at the server.
  if (place.basePath !== '' && !hasOneReading(path)) {
    return refuse('path-not-allowed', 'servers read this path in more than one way', connection)
  }
  return { place, host, path: place.basePath + path || '/' }
}

function unknownConnection({ called }: ConnectionTarget): Refusal {
  return called === undefined
    ? refuse('connection-unknown', 'no such connection at this door')
    : refuse('grant-missing', 'no such connection at this door, which says the same of those without a grant')
}

/** Its home, or another host of the same connection. */
function hostOf({ subDomain }: ConnectionTarget, { name, home }: Place, { places }: Policy): string | undefined {
  if (subDomain === undefined) return home
  const host = parseName(`${subDomain}.${home}`)
  return host !== undefined && places.find(host)?.name === name ? host : undefined
}

/** Gate 2: who may use which connection. Any one grant suffices; the refusal names the one that came closest. */
function judgeGrants(question: Question, route: Route, policy: Policy): Permit | Refusal {
  const { caller, method, at } = question
  const connection = route.place.name
  let over: Grant | undefined
  let unmatched: Grant | undefined
  let reporting: Grant | undefined
  for (const grant of grantsFor(caller, connection, policy.grants)) {
    if (hasEnded(grant, at)) {
      over ??= grant
      continue
    }
    const rule = grant.rules.findIndex((one) => one.matches(method, route.path))
    if (rule !== -1 || grant.rules.length === 0) {
      const where = { connection, method, path: route.path }
      if (!isBelowCeiling(caller.scopes, where)) return beyondScope(caller, grant)
      return disabledOf(connection, policy) ?? permit(question, route, { grant, rule })
    }
    unmatched = grant
    if (grant.mode === 'report') reporting ??= grant
  }
  if (reporting) {
    // What the token may is the issuer's to say: report mode of a grant has no part in it.
    if (!isBelowCeiling(caller.scopes, { connection, method, path: route.path })) return beyondScope(caller, reporting)
    const finding = { grant: reporting, rule: -1, wouldRefuse: notMatched(reporting, method) }
    return disabledOf(connection, policy) ?? permit(question, route, finding)
  }
  if (unmatched) return notMatched(unmatched, method)
  return over ? expired(over) : ungranted(caller, connection)
}

function notMatched({ id, connection }: Grant, method: string): Refusal {
  const reason = `no rule of grant ${id} lets ${method} through to this path`
  return refuse('rule-not-matched', reason, { connection, grant: id })
}

/** Told to callers with a grant alone; to others it is not there. */
export function disabledOf(connection: string, { disabled }: Policy): Refusal | undefined {
  return disabled.has(connection)
    ? refuse('connection-disabled', `${connection} is switched off`, { connection })
    : undefined
}

/** Granted, and more than the proof that was shown is good for. */
export function beyondScope({ name, scopes }: Caller, { id, connection }: Grant): Refusal {
  const reason = `grant ${id} would let ${name} do this with ${connection}, but its token has ${scopes ? ceilingText(scopes) : 'no scope'}`
  return refuse('scope-insufficient', reason, { connection, grant: id })
}

/** Told before anything else: what the policy says is not known any more. */
export const LOST: Refusal = refuse(
  'store-lost',
  'the store has been lost for longer than store.staleMs, or holds what is not understood here',
)

/** No grant at all. */
export function ungranted(caller: Caller, connection: string): Refusal {
  return refuse('grant-missing', `${caller.name} does not have USE CONNECTION on ${connection}`, { connection })
}

/** A grant, and it is over. */
export function expired({ id, connection, until = 0 }: Grant): Refusal {
  return refuse('grant-expired', `grant ${id} expired at ${new Date(until).toISOString()}`, { connection, grant: id })
}

interface Finding {
  readonly grant: Grant
  /** -1: none, because the grant has none, or reports that none matches. */
  readonly rule: number
  readonly wouldRefuse?: Refusal
}

function permit(question: Question, route: Route, { grant, rule, wouldRefuse }: Finding): Permit {
  return new PermitOfDecide({
    caller: question.caller,
    connection: route.place.name,
    host: route.host,
    port: route.place.port,
    path: route.path,
    grant: grant.id,
    rule: rule === -1 ? undefined : rule,
    until: grant.until,
    wouldRefuse,
  })
}
