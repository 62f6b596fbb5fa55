import type { Clock } from '../core/clock.ts'
import type { Purpose } from '../core/purpose.ts'
import type { Kind } from '../forms/kind.ts'
import type { z } from '../forms/zod.ts'
import type { EndpointSettings } from '../oauth/endpoint-settings.ts'
import type { IssuerAnswer } from '../oauth/exchange.ts'
import type { References } from '../secrets/reference.ts'
import type { Dialer } from '../wire/dial.ts'
import type { Mintage } from './cache.ts'
import type { Supply } from './credential.ts'
import type { Logins } from './login/logins.ts'
import type { RevocationEvent } from './login/revoker.ts'
import type { MintEvent, Minted } from './mint.ts'

/** A request of our own to the upstream of a connection. */
export interface Errand {
  readonly method: 'GET' | 'POST' | 'PUT'
  /** With or without a query; behind the base path of the connection. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** JSON. */
  readonly body: string | undefined
  readonly signal: AbortSignal
}

/** The upstream of another connection, for sources that ask it for something. */
export interface Neighbour {
  /** Who answers, for messages. */
  readonly host: string
  /**
   * Asks once, with the connection's own credential in its place; once more with another one after a 401. `purpose`: of
   * the ask that it is for, where that connection gives each caller its own. `isGood`: false once that was taken back.
   * @throws Problem `credential-unavailable`, `credential-failed`
   */
  ask(errand: Errand, purpose?: Purpose): Promise<{ readonly answer: IssuerAnswer } & Pick<Minted, 'behind' | 'isGood'>>
}

/** What every kind of source is built with. */
export interface SourceTools extends References {
  readonly clock: Clock
  readonly dialer: Dialer
  /** Aborts when everything closes: what a source has started ends with it. */
  readonly ending?: AbortSignal
  /** Name of the connection that it is the source of. */
  readonly name?: string
  /** Where refresh tokens are kept; absent where there is no store. */
  readonly logins?: Logins | undefined
  /** Where somebody can log in, in words that end a sentence; absent where there is no such place. */
  loginUrl?(connection: string, caller: string | undefined): string
  /** From 0 up to but not including 1, as Math.random. */
  random(): number
  /** Called once for each mint, for the log and the metrics. Must not throw. */
  onMint?(event: MintEvent): void
  /** Called once for each login that was revoked at its issuer, or could not be, for the log. Must not throw. */
  onRevocation?(event: RevocationEvent): void
  /** That of another connection, as `needs` of this source names it. Not before the first ask: it may not be built yet. */
  connection?(name: string): Supply
  /** The same for its upstream. */
  neighbour?(connection: string): Neighbour | undefined
}

/** What a source needs of the rest of the settings. */
export interface SourceNeeds {
  /** A token that the caller has proved itself with. */
  readonly callersToken?: boolean
  /** A claim by which a caller becomes somebody; without an issuer it may be of any. */
  readonly claim?: { readonly path: readonly PropertyKey[]; readonly issuer: string | undefined } | undefined
  readonly connections?: readonly Named[]
  readonly callers?: readonly Named[]
}

/** A name in the settings of a source. */
export interface Named {
  readonly path: readonly PropertyKey[]
  readonly name: string
  /** Whether a connection without a credential will do. */
  readonly isUpstream?: boolean
}

/** What a supply of minted tokens needs of them. */
export function mintageOf(tools: SourceTools): Pick<Mintage, 'clock' | 'random' | 'onMint'> {
  return { clock: tools.clock, random: () => tools.random(), onMint: (event) => tools.onMint?.(event) }
}

/** One place a credential can come from: one file, one line in the registry. */
export interface SourceKind<S extends z.ZodObject> extends Kind<S, SourceTools, Supply> {
  /** Its tokens outlive a restart: it needs a store, and nobody may spend them besides the sidecar. */
  readonly keepsTokens?: true
  needs?(settings: z.infer<S>): SourceNeeds
  /** The token endpoint that it asks, where its settings do not say it by the fields of one. */
  endpoint?(settings: z.infer<S>): EndpointSettings
}
