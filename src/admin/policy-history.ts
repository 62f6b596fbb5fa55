/** Who asked for what, how often, as far as a decision depends on it. */
export interface PastAsk {
  readonly caller: string
  readonly connection: string | undefined
  readonly method: string
  readonly host: string
  /** Without the query. */
  readonly path: string
  readonly count: number
}

/** A past ask that another policy would decide otherwise. */
export interface ChangedAsk extends PastAsk {
  /** `permit`, or the code of the refusal. */
  readonly was: string
  readonly now: string
}

/** What another policy would have changed. */
export interface Replay {
  /** How many asks were decided anew. */
  readonly asks: number
  readonly denied: readonly ChangedAsk[]
  readonly allowed: readonly ChangedAsk[]
  /** Allowed before and after, and given a credential that it did not have. */
  readonly credentialed: readonly ChangedAsk[]
}

/** The asks of the past, in the light of a policy. `since`: ms since the epoch. */
export interface PolicyHistory {
  /** Decides what was asked since then by other settings. @throws CandidateError */
  replay(candidate: string, since: number): Promise<Replay>
  /** Settings, as YAML: the allowlist and the rules that what was asked since then needs. */
  suggest(since: number): Promise<string>
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
