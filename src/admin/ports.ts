import type { Registry } from 'prom-client'
import type { Change } from '../audit/change.ts'
import type { InventoryFacts } from '../audit/inventory.ts'
import type { Ceiling } from '../core/ceiling.ts'
import type { Clock } from '../core/clock.ts'
import type { Holder } from '../core/grants.ts'
import type { Place, Policy } from '../core/policy.ts'
import type { Rule } from '../core/rule.ts'
import type { SupplyState } from '../credentials/credential.ts'
import type { LoginDesk } from '../credentials/login/desk.ts'
import type { Store } from '../store/store.ts'
import type { LoginLinks } from './login-links.ts'
import type { Operators } from './operators.ts'
import type { PolicyHistory } from './policy-history.ts'
import type { Tail } from './tail.ts'

/** What the admin door needs of the house. All of it is as it is now, at each call. */
export interface AdminPorts {
  readonly clock: Pick<Clock, 'now'>
  readonly metrics: Registry
  readonly operators: Operators
  /** Settings read, doors open, not shutting down. */
  isReady(): boolean
  declared(): Declared
  /** What the supply of each connection does just now. */
  supplies(): ReadonlyMap<string, SupplyState>
  /** Where people log in, by the name of the connection. */
  desks(): ReadonlyMap<string, LoginDesk>
  readonly links: LoginLinks
  /** By which the next request is decided. */
  policy(): Policy
  readonly store: Store | undefined
  /** Whether the store is a sink of the audit: what is not put there must not be said not to have been. */
  readonly isAuditStored: boolean
  /** Told of every change, and of every one that was refused, once. Must not throw. */
  change(change: Change): void
  /** Whether the next change could go unrecorded, and therefore must not be made. */
  isAuditFull(): boolean
  /** The audit as it is being written. */
  readonly tail: Tail
  /** Connections and the long-lived secrets behind them. */
  inventoryFacts(): Promise<InventoryFacts>
  /** What has been asked, in the light of a policy; absent where nobody keeps what has been asked. */
  readonly history: PolicyHistory | undefined
  /** Told of what nobody foresaw, for the log. */
  onFault(id: string, error: unknown): void
}

/** What the settings file says, and nobody can change here. */
export interface Declared {
  /** In the order of the file. */
  readonly connections: ReadonlyMap<string, DeclaredConnection>
  /** Kind of the proof of each entry of `callers`. */
  readonly callers: ReadonlyMap<string, string>
  readonly grants: readonly DeclaredGrant[]
  /** Where the file names each secret of the store, as in `connections.crm.credential.secret`. */
  readonly storedSecrets: ReadonlyMap<string, readonly string[]>
  /** Kind of the proof of whoever goes by this name, which a template may make, too; undefined: nobody does. */
  proofOf(caller: string): string | undefined
  /** How far a proof of this caller reaches that has these scopes; undefined: as far as its grants. */
  ceilingOf(caller: string, scopes: readonly string[]): Ceiling | undefined
}

export interface DeclaredConnection extends Pick<Place, 'port' | 'connect'> {
  readonly hosts: readonly string[]
  /** Kind of its source. */
  readonly source: string
  /** Kind of its injection; absent where nothing is injected. */
  readonly injection: string | undefined
  readonly disabled: boolean
}

/** `id`: `grants[3]`. `until`: ms since the epoch. */
export interface DeclaredGrant {
  readonly id: string
  readonly holder: Holder
  readonly connection: string
  readonly rules: readonly Rule[]
  readonly until: number | undefined
  /** `report`: what its rules would refuse goes through, and is recorded. */
  readonly mode: 'enforce' | 'report'
}
