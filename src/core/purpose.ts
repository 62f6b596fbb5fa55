import type { Caller, Fields } from './ask.ts'

/** Whom a credential is for, and what it will be spent on: for sources that do not give everybody the same. */
export interface Purpose {
  readonly caller: Caller
  readonly method: string
  /** In its one form, as it is sent. */
  readonly path: string
  /** As the caller sent them. */
  readonly fields: Fields
}
