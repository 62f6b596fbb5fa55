import { type Grant, grantsFor } from '../core/grants.ts'
import { HostTable } from '../core/host-table.ts'
import type { Policy } from '../core/policy.ts'
import type { Refusal } from '../core/refusal.ts'
import { type Candidate, type Decision, decideAgain } from './decide-again.ts'
import { isReverse, type Recorded } from './recorded.ts'

/** What is there today, that anything is suggested beside or in place of. */
export interface Present extends Candidate {
  /** Whether a grant of the settings can name this caller: those of the store are granted theirs while running. */
  isDeclarable(caller: string): boolean
}

/** The host that was meant; a reverse door names a connection, and records no host of what it refuses. */
export function hostOf(entry: Recorded, { places, placesByName }: Policy): string | undefined {
  if (entry.host !== undefined || !isReverse(entry)) return entry.host
  const place = placesByName.get(entry.connection ?? '')
  return place?.home !== undefined && places.find(place.home) === place ? place.home : undefined
}

/** What would be decided today if the allowlist named the host, and nothing were switched off: what else is missing. */
export function decideBehindAllowlist(
  entry: Recorded,
  host: string,
  { policy, ceilingOf }: Candidate,
): Decision | undefined {
  const open: Policy = {
    ...policy,
    allowlist: new HostTable([[host, host]]),
    allowlistMode: 'enforce',
    disabled: NOTHING,
    isLost: false,
  }
  return decideAgain(entry, { policy: open, ceilingOf })
}

const NOTHING: ReadonlySet<string> = new Set()

/** The grant that lets it through today. */
export function grantOf({ caller, connection, grant: id }: Granted, { grants }: Policy): Grant | undefined {
  return grantsFor(caller, connection ?? '', grants).find((grant) => grant.id === id)
}

type Granted = Pick<Exclude<Decision, Refusal>, 'caller' | 'connection' | 'grant'>

/** Grants of the settings are called by their place there. */
export function isDeclared({ id }: Grant): boolean {
  return id.startsWith('grants[')
}

/** Every grant that the settings declare. */
export function declaredGrants({ grants: { byCaller, byGroup } }: Policy): readonly Grant[] {
  const rows = [...byCaller.values(), ...byGroup.values()].flatMap((row) => [...row.values()])
  return rows.flat().filter(isDeclared)
}
