/** Asks of the past that are alike, and that another policy would decide otherwise. */
export interface Shift {
  readonly caller: string
  readonly connection: string | undefined
  readonly host: string | undefined
  readonly method: string
  /** With `*` for ids, without the query; absent of a CONNECT. */
  readonly path: string | undefined
  readonly count: number
  /** Why it would be decided so. */
  readonly reason: string
  /** Of the refusal that it would be. */
  readonly code: string | undefined
  /** One of them, by the id that its entry has. */
  readonly example: { readonly time: string; readonly id: string; readonly path?: string | undefined }
}

/** What another policy would have changed. */
export interface Replay {
  readonly newlyDenied: readonly Shift[]
  readonly newlyAllowed: readonly Shift[]
  /** Given a credential that they did not have. */
  readonly newlyCredentialed: readonly Shift[]
  readonly replayed: number
  /** Asks of which too little is known to decide them anew. */
  readonly skipped: number
}

/** Settings that the past would have needed. */
export interface Suggestion {
  readonly yaml: string
  /** How many asks it is made of. */
  readonly asks: number
}

/** The asks of the past, in the light of a policy. `since`: ms since the epoch. */
export interface PolicyHistory {
  /** Decides what was asked since then by other settings. @throws CandidateError */
  replay(candidate: string, since: number): Promise<Replay>
  /** The allowlist and the rules that what was let through since then needs. */
  suggest(since: number): Promise<Suggestion>
}

/** All that is wrong with settings that somebody would like to try. */
export class CandidateError extends Error {
  override readonly name = 'CandidateError'
  /** Each `line:column path: message`, without a value that could be a secret. */
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(faults.join('\n'))
    this.faults = faults
  }
}
