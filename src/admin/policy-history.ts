import type { Replay } from '../review/replay.ts'
import type { Aim } from '../review/suggestion.ts'

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
  /** The allowlist and the rules that what was asked since then needs, or lacked. */
  suggest(since: number, aim: Aim): Promise<Suggestion>
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
