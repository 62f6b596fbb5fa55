import type { CredentialUsed, Entry } from '../audit/entry.ts'
import type { Ask, Caller } from '../core/ask.ts'
import type { Clock } from '../core/clock.ts'
import type { Permit } from '../core/decide.ts'
import type { Passage } from '../core/passage.ts'
import type { Problem } from '../core/problem.ts'
import type { Refusal } from '../core/refusal.ts'
import type { Waiver } from '../core/waiver.ts'
import type { Credential } from '../credentials/credential.ts'
import type { Outcome } from '../relay/http.ts'
import type { Tracing } from '../tracing/tracing.ts'
import { readTraceparent } from '../wire/trace-context.ts'
import type { Sending } from './span-attributes.ts'
import { AskSpans } from './spans.ts'

/** What is known of an ask when its trace begins: all of it, or as much as could be read of a malformed one. */
export type Asked = Pick<Ask, 'id' | 'door' | 'method'> & Partial<Ask>

/** Whose time an ask has taken until the head of its answer. */
export interface TimeParts {
  /** Ours: until it went upstream, without the wait for a credential. Absent where it never went. */
  readonly overheadMs?: number
  /** The upstream's: from the first sending to the head of the answer that the caller got. */
  readonly responseMs?: number
}

/** Gathers what ran for one ask; the entry is built of nothing else. */
export class Trace {
  #asked: Asked
  readonly #clock: Clock
  readonly #time: number
  readonly #start: number
  #caller: Caller | undefined
  #identifiedBy: object | undefined
  #decision: Permit | Passage | Waiver | Refusal | undefined
  #problem: Problem | undefined
  #answered: number | undefined
  #outcome: Outcome | undefined
  #credential: CredentialUsed | undefined
  #mintMs = 0
  /** On the monotonic clock; of the first sending, and of the head of the last answer. */
  #sentAt: number | undefined
  #answeredAt: number | undefined
  #waitedBefore = 0
  #resends = 0
  /** Absent where there are no traces: then nothing is kept for them. */
  readonly #spans: AskSpans | undefined

  constructor(asked: Asked, clock: Clock, tracing?: Tracing) {
    this.#asked = asked
    this.#clock = clock
    this.#time = clock.now()
    this.#start = clock.monotonic()
    if (tracing) this.#spans = new AskSpans(asked.fields ?? [], tracing)
  }

  get id(): string {
    return this.#asked.id
  }

  get door(): string {
    return this.#asked.door
  }

  /** What was asked for stood in the body: from now on the record is about that. */
  unfolded(ask: Ask): void {
    this.#asked = ask
  }

  /** `by`: the snapshot whose proofs were asked for. */
  identified(caller: Caller, by: object): void {
    this.#caller = caller
    this.#identifiedBy = by
  }

  isIdentifiedBy(snapshot: object): boolean {
    return this.#identifiedBy === snapshot
  }

  decided(decision: Permit | Passage | Waiver | Refusal): void {
    this.#decision = decision
  }

  /** For a credential, which came or did not; an ask that found a fresh one never waits. */
  waited(ms: number, credential?: Credential): void {
    this.#mintMs += ms
    if (credential) this.#spans?.waitedFor(credential.secret)
  }

  /** What goes upstream now. Told at each sending, so that the entry names the last one that really went. */
  spent(credential: CredentialUsed): void {
    this.#credential = credential
  }

  resent(): void {
    this.#resends++
  }

  /** It goes upstream now. Told at each sending. */
  sending(): void {
    if (this.#sentAt !== undefined) return
    this.#sentAt = this.#clock.monotonic()
    this.#waitedBefore = this.#mintMs
  }

  /** The head of an answer has come. Told at each of them. */
  heard(): void {
    this.#answeredAt = this.#clock.monotonic()
  }

  /** A try upstream begins. The fields by which it is traced there; undefined where there are no traces. */
  sends(sending: Sending): readonly string[] | undefined {
    return this.#spans?.sends(sending, this.#wall())
  }

  /** That try is over. One that failed before it had an answer is over with the ask. */
  came(outcome: Outcome): void {
    this.#spans?.came(outcome, this.#wall())
  }

  /** Once the entry is written: what ran for it, as spans. */
  finish(entry: Entry): void {
    this.#spans?.finish(entry, { asked: this.#asked, startMs: this.#time, endMs: this.#wall() })
  }

  /** Ms since the epoch, and never back within one ask. */
  #wall(): number {
    return this.#time + this.#clock.monotonic() - this.#start
  }

  relayed(outcome: Outcome): void {
    this.#outcome = outcome
    if (outcome.problem) this.#problem = outcome.problem
  }

  /** `status`: what the caller was answered with, when anything could be answered. */
  failed(problem: Problem, status: number | undefined): void {
    this.#problem = problem
    this.#answered = status
  }

  /** Whose time it took, as far as it came. */
  parts(): TimeParts {
    if (this.#sentAt === undefined) return {}
    const overheadMs = this.#sentAt - this.#start - this.#waitedBefore
    return this.#answeredAt === undefined ? { overheadMs } : { overheadMs, responseMs: this.#answeredAt - this.#sentAt }
  }

  entry(): Entry {
    const { id, door, method, target, path, evidence, fields } = this.#asked
    const decision = this.#decision
    const permit = decision?.permitted ? decision : undefined
    const outcome = this.#outcome
    const traced = this.#spans?.id ?? readTraceparent(fields ?? [])
    return {
      time: isoTime(this.#time),
      id,
      door,
      method: printable(method),
      host: permit ? permit.host : target?.kind === 'name' ? target.host : undefined,
      port: target?.kind === 'name' ? target.port : undefined,
      path: path === undefined ? undefined : printable(path),
      caller: this.#caller?.name,
      proof: this.#caller?.method,
      groups: this.#caller?.groups,
      scopes: this.#caller?.scopes?.scopes,
      pid: evidence?.peer?.pid,
      originalDestination: evidence?.originalDestination,
      details: this.#caller?.details,
      connection: decision?.connection,
      grant: decision?.grant,
      rule: permit && 'rule' in permit ? permit.rule : undefined,
      decision: permit ? 'permit' : 'refuse',
      wouldRefuse: permit?.wouldRefuse?.code,
      tunnel: permit && 'tls' in permit ? TUNNELS[permit.tls] : undefined,
      reason: this.#problem?.reason ?? outcome?.note ?? (permit ? permit.wouldRefuse?.reason : decision?.reason),
      code: this.#problem?.code,
      status: this.#answered ?? (outcome?.status || undefined),
      ended: ending(outcome, this.#answered),
      bytesIn: outcome?.bytesIn ?? 0,
      bytesOut: outcome?.bytesOut ?? 0,
      totalMs: milliseconds(this.#clock.monotonic() - this.#start),
      mintMs: this.#mintMs === 0 ? undefined : milliseconds(this.#mintMs),
      upstreamAddress: outcome?.upstreamAddress,
      resends: this.#resends,
      credential: this.#credential,
      traceId: traced?.traceId,
      spanId: traced?.spanId,
    }
  }
}

/** TLS that is refused leaves plain HTTP, which is read as well. */
const TUNNELS = { open: 'opened', refuse: 'opened', pass: 'unopened' } as const

function ending(outcome: Outcome | undefined, answered: number | undefined): Entry['ended'] {
  if (answered !== undefined) return 'complete'
  if (!outcome) return 'gone'
  return outcome.ended === 'complete' || outcome.ended === 'gone' ? outcome.ended : 'broken'
}

let latest = { ms: 0, text: '' }

/** Under load many asks arrive in one millisecond. */
function isoTime(ms: number): string {
  if (latest.ms !== ms) latest = { ms, text: new Date(ms).toISOString() }
  return latest.text
}

/** Three decimals: below that it is noise. */
function milliseconds(value: number): number {
  return Math.round(value * 1000) / 1000
}

/** JSON escapes C0; DEL, C1 and whatever else a terminal may act on is escaped here. Nothing is cut. */
function printable(text: string): string {
  return /^[ -~]*$/.test(text) ? text : text.replace(/[^ -~]/gu, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`)
}
