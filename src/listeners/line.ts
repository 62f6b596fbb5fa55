import type { Peer } from '../core/ask.ts'
import type { HttpAnswer } from './http-answer.ts'
import type { ShownKeys } from './keys.ts'

/** What a door knows of one caller's connection. */
export interface Line {
  readonly peer: Peer | undefined
  /** To the latest request. Earlier ones may still be waiting for theirs, because callers may pipeline. */
  answer: HttpAnswer | undefined
  /** The latest proof as it was read: clients send the same one with every request. What it proves is judged each time. */
  proof: { readonly text: string; readonly shown: ShownKeys } | undefined
  /** The parser has given up on it. */
  isUnreadable: boolean
}

/** A connection of which nothing is known yet. */
export function newLine(peer: Peer | undefined): Line {
  return { peer, answer: undefined, proof: undefined, isUnreadable: false }
}
