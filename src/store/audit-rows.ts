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
  /** Newest first unless said otherwise; in the order in which they came, which is that of their `seq` in each run. */
  readonly order?: 'newest' | 'oldest' | undefined
}

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
  find(filter: AuditFilter): Promise<AuditPage>
  /** The newest row of an instance, for the chain that goes on from it. */
  latest(instance: string): Promise<AuditHead | undefined>
  /** Permitted asks since then, by caller, connection and grant. */
  usage(since: number): Promise<readonly Usage[]>
}
