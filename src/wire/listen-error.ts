/** What kept a door from opening. Stable. */
export type ListenErrorCode =
  | 'address-in-use'
  | 'address-unavailable'
  | 'directory-missing'
  | 'directory-unsafe'
  | 'not-bound'
  | 'not-permitted'
  | 'path-occupied'
  | 'path-unfit'
  | 'socket-foreign'
  | 'socket-in-use'
  | 'socket-not-passed'
  | 'socket-unfit'
  | 'socket-unused'

/** A door that could not open. Test for `code`; the message is for the operator, and says what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
  readonly code: ListenErrorCode

  constructor(code: ListenErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
  }
}
