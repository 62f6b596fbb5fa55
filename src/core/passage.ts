import type { Caller } from './ask.ts'
import { isTunnelBelowCeiling } from './ceiling.ts'
import { beyondScope, disabledOf, expired, LOST, placeOf, ungranted } from './decide.ts'
import { type Grant, grantsFor, hasEnded } from './grants.ts'
import type { Place, Policy } from './policy.ts'
import { type Refusal, refuse } from './refusal.ts'
import { isWaived, waivedReason } from './waiver.ts'

/** Where a caller wants a tunnel to. */
export interface PassageQuestion {
  readonly caller: Caller
  readonly host: string
  readonly port: number
  /** ms since the epoch */
  readonly at: number
}

/**
 * A CONNECT that may go on. It is no permit: no credential can be had for it. What comes through an opened tunnel is
 * judged anew at each request; what passes unopened carries nothing of ours.
 */
export interface Passage {
  readonly permitted: true
  readonly caller: Caller
  /** Undefined in report mode, where no connection leads there. */
  readonly connection: string | undefined
  readonly host: string
  readonly port: number
  /** The grant without which it would have been refused. */
  readonly grant: string | undefined
  /** ms since the epoch; an unopened tunnel ends at this very millisecond. */
  readonly until: number | undefined
  /** What becomes of TLS in it: we answer it ourselves, it passes through unopened, or it is refused. */
  readonly tls: 'open' | 'pass' | 'refuse'
  /** Plain HTTP in it is read as if it had been asked in absolute form. */
  readonly plain: boolean
  /** What would have been said, were it not for report mode. */
  readonly wouldRefuse?: Refusal | undefined
  readonly reason: string
}

/** Both gates for a CONNECT: host, port, caller, grant. Methods and paths are judged at each request in the tunnel. */
export function decidePassage(question: PassageQuestion, policy: Policy): Passage | Refusal {
  if (policy.isLost) return LOST
  const place = placeOf(question.host, policy)
  if ('permitted' in place) return waivedPassage(question, place, policy) ?? place
  const ways = waysInto(place, question.port)
  return 'permitted' in ways ? ways : judgeGrants(question, place, ways, policy)
}

type Ways = Pick<Passage, 'tls' | 'plain'>

const HTTP_PORT = 80

/** Clients exist that ask for `http://` by `CONNECT host:80` too (undici's EnvHttpProxyAgent). */
function waysInto(place: Place, port: number): Ways | Refusal {
  const { connect, isPlaintext, name: connection } = place
  if (connect === 'refuse') return refuse('connect-refused', `${connection} says connect: refuse`, { connection })
  if (port !== place.port) {
    if (port === HTTP_PORT) return { tls: 'refuse', plain: true }
    return refuse('port-not-allowed', `port ${port} of ${place.name} is not the connection's port, ${place.port}`, {
      connection,
    })
  }
  if (connect === 'tunnel') return { tls: 'pass', plain: false }
  if (connect === 'intercept') return { tls: 'open', plain: isPlaintext }
  if (isPlaintext) return { tls: 'refuse', plain: true }
  return refuse('connect-refused', `${connection} neither intercepts nor tunnels: without "ca" it cannot inject`, {
    connection,
  })
}

/** As for a connection that tunnels; plain HTTP is read request by request, so that each is recorded. */
function waivedPassage({ caller, host, port }: PassageQuestion, refusal: Refusal, policy: Policy): Passage | undefined {
  if (!isWaived(host, refusal, policy)) return undefined
  const ways = port === HTTP_PORT ? ({ tls: 'refuse', plain: true } as const) : ({ tls: 'pass', plain: false } as const)
  const nothing = { connection: undefined, grant: undefined, until: undefined }
  return {
    permitted: true,
    caller,
    host,
    port,
    ...nothing,
    ...ways,
    wouldRefuse: refusal,
    reason: waivedReason(refusal),
  }
}

function judgeGrants(question: PassageQuestion, place: Place, ways: Ways, policy: Policy): Passage | Refusal {
  const { caller, host, port, at } = question
  const connection = place.name
  let closest = ungranted(caller, connection)
  let found: { readonly grant: Grant; readonly wouldRefuse?: Refusal } | undefined
  for (const grant of grantsFor(caller, connection, policy.grants)) {
    if (hasEnded(grant, at)) {
      if (closest.code === 'grant-missing') closest = expired(grant)
    } else if (ways.tls !== 'pass' || grant.rules.length === 0) {
      found = { grant }
      break
    } else {
      closest = unjudged(grant)
      if (grant.mode === 'report') found ??= { grant, wouldRefuse: closest }
    }
  }
  if (!found) return closest
  const { grant, wouldRefuse } = found
  if (!isTunnelBelowCeiling(caller.scopes, { connection, isUnread: ways.tls === 'pass' }))
    return beyondScope(caller, grant)
  const off = disabledOf(connection, policy)
  if (off) return off
  const reason =
    wouldRefuse?.reason ?? `grant ${grant.id} lets ${caller.name} open a tunnel to ${host} for ${connection}`
  const terms = { caller, connection, host, port, grant: grant.id, until: grant.until }
  return { permitted: true, ...terms, ...ways, wouldRefuse, reason }
}

/** Fail closed: what cannot be read cannot be found to fit a rule. */
function unjudged({ id, connection }: Grant): Refusal {
  const reason = `grant ${id} has rules, and nobody can judge methods and paths in an unopened tunnel`
  return refuse('rule-not-matched', reason, { connection, grant: id })
}
