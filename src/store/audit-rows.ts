/** One audit record as it was written: `line` is what its hash is over, to the byte. */
export interface AuditLine {
  /** JSON, without a line feed. */
  readonly line: string
  /** Who wrote it: the name of the instance, and of the run of its process. */
  readonly instance: string
  readonly run: string
  /** From 1, without gaps, in each run. */
  readonly seq: number
  readonly hash: string
  /** What rows are found by; the rest is in the line. `time`: ms since the epoch. */
  readonly keys: AuditKeys
}

/** What audit rows are found by. */
export interface AuditKeys {
  readonly time: number
  readonly kind: 'ask' | 'change' | 'checkpoint' | 'start'
  readonly caller?: string | undefined
  readonly connection?: string | undefined
  readonly grant?: string | undefined
  readonly host?: string | undefined
  readonly code?: string | undefined
  readonly fingerprint?: string | undefined
  /** `NAME@VERSION` of the long-lived secret behind the credential. */
  readonly secret?: string | undefined
}

/** Which rows: all that are given must fit. Times in ms since the epoch, `since` included, `until` not. */
export interface AuditFilter extends Partial<Omit<AuditKeys, 'time'>> {
  readonly since?: number | undefined
  readonly until?: number | undefined
  readonly instance?: string | undefined
  /** Rows a page; 100 without it, 1000 at most. */
  readonly limit?: number | undefined
  /** Where the page before ended. */
  readonly cursor?: string | undefined
  /** Newest first unless said otherwise. */
  readonly order?: 'newest' | 'oldest' | undefined
}

/** Some of the rows. */
export interface AuditPage {
  readonly lines: readonly AuditLine[]
  /** Where the next page begins; absent at the end. */
  readonly cursor: string | undefined
}

/** How often, and when last, a caller used a connection by a grant. */
export interface Usage {
  readonly caller: string
  readonly connection: string
  readonly grant: string | undefined
  readonly count: number
  readonly lastAt: number
}

/** The audit in the store. */
export interface AuditRows {
  /** All or none; what is there already (same instance, run and seq) is left as it is, so that it can be sent again. */
  insert(lines: readonly AuditLine[]): Promise<void>
  /** @throws StoreError `cursor`, `lost` */
  find(filter: AuditFilter): Promise<AuditPage>
  /** The newest row of an instance, for the chain that goes on from it. */
  latest(instance: string): Promise<Pick<AuditLine, 'run' | 'seq' | 'hash'> | undefined>
  /** Permitted asks since then, by caller, connection and grant. */
  usage(since: number): Promise<readonly Usage[]>
}
