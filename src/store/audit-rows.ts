import type { AuditHead, AuditKeys, AuditLine, Usage } from '../core/audit-line.ts'

export type { AuditKeys, AuditLine, Usage } from '../core/audit-line.ts'

/** Which rows: all that are given must fit. Times in ms since the epoch, `since` included, `until` not. */
export interface AuditFilter extends Partial<Omit<AuditKeys, 'time'>> {
  readonly since?: number | undefined
  readonly until?: number | undefined
  readonly instance?: string | undefined
  /** Rows a page; 100 without it, 1000 at most. */
  readonly limit?: number | undefined
  /** Where the page before ended. */
  readonly cursor?: string | undefined
  /** Newest first unless said otherwise, by the time that an ask came; `walk` is the order of the chain. */
  readonly order?: 'newest' | 'oldest' | undefined
}

/** One place in the order of the chain. */
export type AuditSpot = Pick<AuditLine, 'instance' | 'run' | 'seq'>

/** Some of the rows. */
export interface AuditPage {
  readonly lines: readonly AuditLine[]
  /** Where the next page begins; absent at the end. */
  readonly cursor: string | undefined
}

/** The audit in the store. */
export interface AuditRows {
  /** All or none; what is there already (same instance, run and seq) is left as it is, so that it can be sent again. */
  insert(lines: readonly AuditLine[]): Promise<void>
  /** @throws StoreError `cursor`, `lost` */
  find(filter: AuditFilter): Promise<AuditPage>
  /** The newest row of an instance, for the chain that goes on from it. */
  latest(instance: string): Promise<AuditHead | undefined>
  /** The lines behind that one, in the order of the chain: by instance, run and `seq`; from the first without it. 1000 at most. */
  walk(after: AuditSpot | undefined, limit: number): Promise<readonly AuditLine[]>
  /** Permitted asks since then, by caller, connection and grant. */
  usage(since: number): Promise<readonly Usage[]>
}
