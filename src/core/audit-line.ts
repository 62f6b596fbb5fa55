/** What a line of the audit tells of. `start` opens a run, `gap` says which lines a sink has lost. */
export type AuditKind = 'ask' | 'change' | 'checkpoint' | 'start' | 'gap'

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
  /** What rows are found by; the rest is in the line. */
  readonly keys: AuditKeys
}

/** What audit rows are found by. `time`: ms since the epoch. */
export interface AuditKeys {
  readonly time: number
  readonly kind: AuditKind
  readonly caller?: string | undefined
  readonly connection?: string | undefined
  readonly grant?: string | undefined
  readonly host?: string | undefined
  readonly code?: string | undefined
  readonly fingerprint?: string | undefined
  /** `NAME@VERSION` of the long-lived secret behind the credential. */
  readonly secret?: string | undefined
}

/** The last line of a run that is known. */
export type AuditHead = Pick<AuditLine, 'run' | 'seq' | 'hash'>

/** How often, and when last, a caller used a connection by a grant. */
export interface Usage {
  readonly caller: string
  readonly connection: string
  readonly grant: string | undefined
  readonly count: number
  /** Ms since the epoch. */
  readonly lastAt: number
}
