import type { Caller } from './ask.ts'
import type { Policy, Question } from './policy.ts'
import type { ProblemCode } from './problem.ts'
import type { Refusal } from './refusal.ts'

/**
 * A no that report mode does not enforce: the request goes out as it came, and the record says what would have been. It is
 * no permit and names no connection, so no credential can be had for it.
 */
export interface Waiver {
  readonly permitted: true
  readonly caller: Caller
  readonly connection: undefined
  readonly grant: undefined
  readonly host: string
  /** As the caller named it, or that of plain HTTP. */
  readonly port: number
  readonly path: string
  readonly until: undefined
  readonly wouldRefuse: Refusal
  readonly reason: string
}

const HTTP_PORT = 80

/**
 * What of a refusal report mode lets by: where egress may go, and nothing that concerns a connection. It goes out as plain
 * HTTP; what was asked for as `https:` does not.
 */
export function waiverOf({ caller, target, path }: Question, refusal: Refusal, policy: Policy): Waiver | undefined {
  if (target.kind !== 'name' || target.isSecure || !isWaived(target.host, refusal, policy)) return undefined
  const { host, port = HTTP_PORT } = target
  const reason = waivedReason(refusal)
  return {
    permitted: true,
    caller,
    connection: undefined,
    grant: undefined,
    host,
    port,
    path,
    until: undefined,
    wouldRefuse: refusal,
    reason,
  }
}

const WAIVED: ReadonlySet<ProblemCode> = new Set(['host-not-allowed', 'connection-missing'])

/** A connection that is switched off stays so, whatever the allowlist is. */
export function isWaived(host: string, { code }: Refusal, policy: Policy): boolean {
  if (policy.allowlistMode !== 'report' || !WAIVED.has(code)) return false
  const place = policy.places.find(host)
  return place === undefined || !policy.disabled.has(place.name)
}

/** In words. */
export function waivedReason({ reason }: Refusal): string {
  return `report mode lets it out without a credential: ${reason}`
}
