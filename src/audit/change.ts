/** What an operator changed, or tried to: written once, whatever came of it. Holds no secret. */
export interface Change {
  /** ISO 8601 */
  readonly time: string
  readonly id: string
  /** Who, and by which kind of proof. */
  readonly operator: string
  readonly proof: string
  /** `grant.add`, `grant.remove`, `caller.add`, `caller.remove`, `caller.rotate-key`, `connection.disable`, ... */
  readonly action: string
  /** What it is about: the name of a connection or caller, the id of a grant. */
  readonly subject: string
  /** How it was, and how it is now; absent where it was not there, or is not any more. */
  readonly before: unknown
  readonly after: unknown
  /** Stable code of the refusal, where nothing was changed. */
  readonly code: string | undefined
}
