/** What can be wrong with an audit. Stable names for programs. */
export type AuditFaultCode =
  | 'malformed'
  | 'altered'
  | 'missing'
  | 'duplicated'
  | 'reordered'
  | 'tail-missing'
  | 'run-missing'
  | 'unlinked'
  | 'checkpoint-forged'
  | 'unsigned'

/** One thing that is wrong, and where. */
export interface AuditFault {
  readonly code: AuditFaultCode
  /** In words. */
  readonly message: string
  /** From 1, over all that was read; where it shows. */
  readonly line: number
  readonly instance: string | undefined
  readonly run: string | undefined
  /** Of the entry it is about, or the first of them. */
  readonly seq: number | undefined
}

/** A fault as it is found; without `line` it is the one being read. */
export type Found = Pick<AuditFault, 'code' | 'message'> & Partial<AuditFault>
