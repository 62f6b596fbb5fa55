import type { AuditHead, AuditLine } from '../core/audit-line.ts'
import type { Clock } from '../core/clock.ts'
import { Chain } from './chain.ts'
import type { Change } from './change.ts'
import type { Signer } from './checkpoint.ts'
import type { Entry } from './entry.ts'
import type { AuditRecord, Gap } from './record.ts'
import type { Sink, WhenFull } from './sink.ts'

/** What an audit is made of. */
export interface AuditParts {
  readonly instance: string
  /** Of the settings that it starts with. */
  readonly settingsDigest: string
  /** Names this run, after all those before it: a UUID of version 7. */
  readonly run: string
  /** The last line of this instance that any sink knows. */
  readonly after: AuditHead | undefined
  readonly sinks: readonly { readonly name: string; readonly sink: Sink }[]
  readonly whenFull: WhenFull
  readonly checkpoints: { readonly signer: Signer; readonly everyMs: number } | undefined
  readonly clock: Clock
  /** Each line as it is written, for who follows the audit. Must not wait. */
  readonly onLine?: ((line: AuditLine) => void) | undefined
  /** What kept a line from a sink, or a checkpoint from being made. */
  onFault(name: string, reason: string): void
}

/** How it stands with one sink. */
export interface SinkState {
  readonly name: string
  readonly waitingBytes: number
  readonly limitBytes: number
  readonly isFull: boolean
}

/** The audit of one run: chains what is recorded, signs it from time to time, and gives the same lines to every sink. */
export class Audit {
  readonly #parts: AuditParts
  readonly #chain: Chain
  readonly #gaps: Gap[] = []
  #hasBegun = false
  #isClosed = false
  #timer: NodeJS.Timeout | undefined
  #signedAt = Number.NEGATIVE_INFINITY

  constructor(parts: AuditParts) {
    this.#parts = parts
    this.#chain = new Chain(parts)
  }

  /** Writes the first line, and signs it; without it, the first that is recorded does. Idempotent. */
  begin(): void {
    if (this.#hasBegun) return
    this.#hasBegun = true
    const { after, checkpoints, settingsDigest } = this.#parts
    const checkpointEveryMs = checkpoints?.everyMs
    const checkpointKey = checkpoints?.signer.thumbprint()
    const body = { time: this.#time(), settingsDigest, after, checkpointEveryMs, checkpointKey }
    this.#write({ kind: 'start', body })
    this.#checkpoint()
    if (checkpoints) this.#timer = setInterval(() => this.#checkpoint(), checkpoints.everyMs).unref()
  }

  /** Once for each ask. Does not throw. */
  ask(entry: Entry): void {
    this.begin()
    this.#signIfDue()
    this.#write({ kind: 'ask', body: entry })
  }

  /** Once for each change that an operator made or tried. Does not throw. */
  change(change: Change): void {
    this.begin()
    this.#signIfDue()
    this.#write({ kind: 'change', body: change })
  }

  /** A sink has lost lines, and takes them again: recorded behind the line that is being written now. */
  gap(sink: string, range: Omit<Gap, 'time' | 'sink'>): void {
    this.#gaps.push({ time: this.#time(), sink, ...range })
  }

  /** Whether what happens now could go unrecorded, and therefore must not happen. */
  isFull(): boolean {
    const { whenFull, sinks } = this.#parts
    if (this.#isClosed) return true
    return whenFull === 'refuse' && sinks.some(({ sink }) => sink.isFull())
  }

  /** How it stands with each sink. */
  sinks(): readonly SinkState[] {
    return this.#parts.sinks.map(({ name, sink }) => ({
      name,
      waitingBytes: sink.waitingBytes(),
      limitBytes: sink.limitBytes(),
      isFull: sink.isFull(),
    }))
  }

  /** Signs what is there, and brings it out. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    if (this.#hasBegun) this.#checkpoint()
    this.#isClosed = true
    await Promise.all(this.#parts.sinks.map(({ sink }) => sink.close()))
  }

  #write(record: AuditRecord): void {
    if (this.#isClosed)
      return this.#parts.onFault('chain', `the audit is closed: of kind ${record.kind}, and not recorded`)
    const line = this.#guarded('chain', () => this.#chain.link(record))
    if (!line) return
    for (const { name, sink } of this.#parts.sinks) this.#guarded(name, () => sink.write(line))
    this.#guarded('tail', () => this.#parts.onLine?.(line))
    for (const gap of this.#gaps.splice(0)) this.#write({ kind: 'gap', body: gap })
  }

  /** By the clock that entries have their times from: a verifier can hold us to it, however long a timer was asleep. */
  #signIfDue(): void {
    const { checkpoints, clock } = this.#parts
    if (checkpoints && clock.now() - this.#signedAt >= checkpoints.everyMs) this.#checkpoint()
  }

  #checkpoint(): void {
    const { checkpoints, instance, clock } = this.#parts
    if (!checkpoints) return
    this.#signedAt = clock.now()
    const signed = this.#guarded('checkpoints', () => checkpoints.signer.sign(instance, this.#chain.head))
    if (signed) this.#write({ kind: 'checkpoint', body: { time: this.#time(), ...signed } })
  }

  /** Whoever is recorded must not fail because the audit does. */
  #guarded<T>(name: string, step: () => T): T | undefined {
    try {
      return step()
    } catch (error) {
      this.#parts.onFault(name, error instanceof Error ? error.message : String(error))
      return undefined
    }
  }

  #time(): string {
    return new Date(this.#parts.clock.now()).toISOString()
  }
}
