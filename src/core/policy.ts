import type { Caller, Target } from './ask.ts'
import type { GrantTable } from './grants.ts'
import type { HostTable } from './host-table.ts'

/** What the decision knows of a connection. `home`: the host that a reverse door dials, its first exact one. */
export interface Place {
  readonly name: string
  readonly home: string | undefined
  readonly port: number
  readonly basePath: string
  /** The upstream speaks plain HTTP. */
  readonly isPlaintext: boolean
  /** What CONNECT opens; `unsaid`: nobody has chosen, and nothing can be intercepted. */
  readonly connect: 'intercept' | 'tunnel' | 'refuse' | 'unsaid'
}

/** All that a decision depends on, frozen; a reload makes a new one. */
export interface Policy {
  /** Gate 1: the pattern that lets a host be reached at all. */
  readonly allowlist: HostTable<string>
  readonly places: HostTable<Place>
  readonly placesByName: ReadonlyMap<string, Place>
  /** Gate 2: who may use which connection. */
  readonly grants: GrantTable
  /** Connections that an operator has switched off, for everybody. */
  readonly disabled: ReadonlySet<string>
  /** `report`: what the allowlist would refuse goes out without a credential, and is recorded. Enforced without it. */
  readonly allowlistMode?: 'enforce' | 'report' | undefined
  /** What operators have changed has not been known for too long: nothing goes out, or what they took back might. */
  readonly isLost?: boolean | undefined
}

export interface Question {
  readonly caller: Caller
  readonly target: Target
  readonly method: string
  readonly path: string
  /** ms since the epoch */
  readonly at: number
}
