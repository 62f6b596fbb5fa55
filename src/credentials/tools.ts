import type { Clock } from '../core/clock.ts'
import type { Problem } from '../core/problem.ts'
import type { Kind } from '../forms/kind.ts'
import type { z } from '../forms/zod.ts'
import type { EndpointSettings } from '../oauth/endpoint-settings.ts'
import type { References } from '../secrets/reference.ts'
import type { Dialer } from '../wire/dial.ts'
import type { Mintage } from './cache.ts'
import type { Supply } from './credential.ts'

/** How one mint went. `durationMs`: on the monotonic clock. */
export type MintEvent =
  | {
      readonly outcome: 'ok'
      readonly durationMs: number
      readonly version: string
      /** What an operator should know although it went well. Our own words. */
      readonly warnings: readonly string[]
    }
  | { readonly outcome: 'failed'; readonly durationMs: number; readonly problem: Problem }

/** What every kind of source is built with. */
export interface SourceTools extends References {
  readonly clock: Clock
  readonly dialer: Dialer
  /** Aborts when everything closes: what a source has started ends with it. */
  readonly ending?: AbortSignal
  /** From 0 up to but not including 1, as Math.random. */
  random(): number
  /** Called once for each mint, for the log and the metrics. Must not throw. */
  onMint?(event: MintEvent): void
  /** That of another connection, as `needs` of this source names it. Not before the first ask: it may not be built yet. */
  connection?(name: string): Supply
}

/** What a source needs of the rest of the settings. */
export interface SourceNeeds {
  /** A token that the caller has proved itself with. */
  readonly callersToken?: boolean
  readonly connections?: readonly Named[]
  readonly callers?: readonly Named[]
}

/** A name in the settings of a source. */
export interface Named {
  readonly path: readonly PropertyKey[]
  readonly name: string
}

/** What a supply of minted tokens needs of them. */
export function mintageOf(tools: SourceTools): Pick<Mintage, 'clock' | 'random' | 'onMint'> {
  return { clock: tools.clock, random: () => tools.random(), onMint: (event) => tools.onMint?.(event) }
}

/** One place a credential can come from: one file, one line in the registry. */
export interface SourceKind<S extends z.ZodObject> extends Kind<S, SourceTools, Supply> {
  needs?(settings: z.infer<S>): SourceNeeds
  /** The token endpoint that it asks, where its settings do not say it by the fields of one. */
  endpoint?(settings: z.infer<S>): EndpointSettings
}
