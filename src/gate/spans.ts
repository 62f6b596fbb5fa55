import type { Entry } from '../audit/entry.ts'
import type { Ask } from '../core/ask.ts'
import type { Secret } from '../core/secret.ts'
import type { Outcome } from '../relay/http.ts'
import { newSpanId, newTraceId, type Span } from '../tracing/span.ts'
import type { Tracing } from '../tracing/tracing.ts'
import { valuesOf } from '../wire/fields.ts'
import { readTraceparent, readTracestate, type SpanId, type TraceParent, traceparentOf } from '../wire/trace-context.ts'
import { clientAttributes, methodAttributes, type Sending, serverAttributes, spanName } from './span-attributes.ts'

/** One try upstream. */
interface Try {
  readonly spanId: string
  readonly startMs: number
  readonly sending: Sending
  /** Tries before this one. */
  readonly resends: number
  over: { readonly endMs: number; readonly outcome: Outcome } | undefined
}

interface Times {
  readonly asked: Pick<Ask, 'method'> & Partial<Ask>
  readonly startMs: number
  readonly endMs: number
}

/** The spans of one ask: one for what a caller asked of us, and below it one for each try upstream. */
export class AskSpans {
  /** Of the ask; there is one whether it is recorded or not, for the audit and for whoever comes next. */
  readonly id: SpanId
  readonly #tracing: Tracing
  readonly #parent: TraceParent | undefined
  readonly #state: string | undefined
  readonly #tries: Try[] = []
  readonly #mints: SpanId[] = []
  #isRecorded: boolean | undefined

  constructor(fields: readonly string[], tracing: Tracing) {
    this.#tracing = tracing
    this.#parent = readTraceparent(fields)
    this.#state = this.#parent && readTracestate(fields)
    this.id = { traceId: this.#parent?.traceId ?? newTraceId(), spanId: newSpanId() }
  }

  waitedFor(secret: Secret): void {
    const mint = this.#tracing.mintOf(secret)
    if (mint) this.#mints.push(mint)
  }

  /** The fields that the upstream is told; none where it is to learn of no trace, or the caller names none. */
  sends(sending: Sending, startMs: number): readonly string[] {
    const { ask, permit, connection } = sending
    const isSampled = this.#choose(permit.caller.name)
    const { traceId } = this.id
    const spanId = newSpanId()
    if (isSampled) this.#tries.push({ spanId, startMs, sending, resends: this.#tries.length, over: undefined })
    const isTold = connection.propagateTrace ?? valuesOf(ask.fields, 'traceparent').length > 0
    if (!isTold) return []
    const parent = ['traceparent', traceparentOf({ traceId, spanId, isSampled })]
    return this.#state === undefined ? parent : [...parent, 'tracestate', this.#state]
  }

  came(outcome: Outcome, endMs: number): void {
    const latest = this.#tries.at(-1)
    if (latest) latest.over = { outcome, endMs }
  }

  /** Nothing is made of what is known before it is all over, and nobody waits any more. */
  finish(entry: Entry, times: Times): void {
    if (!this.#choose(entry.caller)) return
    for (const one of this.#tries) this.#tracing.export(() => this.#tryOf(one, { entry, ...times }))
    this.#tracing.export(() => this.#own({ entry, ...times }))
  }

  #own({ entry, asked, startMs, endMs }: Ended): Span {
    const { method } = asked
    return {
      ...this.id,
      parent: this.#parent && { spanId: this.#parent.spanId, isRemote: true },
      state: this.#state,
      kind: 'server',
      name: spanName(method),
      startMs,
      endMs,
      attributes: { ...methodAttributes(method), ...serverAttributes(entry, asked, this.#tracing.hasPaths) },
      isError: (entry.status ?? 0) >= 500 || entry.ended === 'broken',
      links: this.#mints,
    }
  }

  #tryOf({ spanId, startMs, sending, resends, over }: Try, { entry, endMs }: Ended): Span {
    const { method } = sending.ask
    const status = over?.outcome.status || undefined
    // One without an outcome has ended the ask.
    const code = over ? over.outcome.problem?.code : entry.code
    const errorType = code ?? (status !== undefined && status >= 400 ? String(status) : undefined)
    return {
      traceId: this.id.traceId,
      spanId,
      parent: { spanId: this.id.spanId, isRemote: false },
      state: this.#state,
      kind: 'client',
      name: spanName(method),
      startMs,
      endMs: over?.endMs ?? endMs,
      attributes: {
        ...methodAttributes(method),
        ...clientAttributes({ ...sending, hasPaths: this.#tracing.hasPaths, resends }),
        'http.response.status_code': status,
        'network.peer.address': over?.outcome.upstreamAddress,
        'network.protocol.version': over?.outcome.protocol,
        'error.type': errorType,
      },
      isError: errorType !== undefined,
    }
  }

  /** Once, and not before it is known who asks where that becomes known at all: the rate is a caller's. */
  #choose(caller: string | undefined): boolean {
    const { traceId } = this.id
    this.#isRecorded ??= this.#tracing.isRecorded({ traceId, isParentSampled: this.#parent?.isSampled, caller })
    return this.#isRecorded
  }
}

interface Ended extends Times {
  readonly entry: Entry
}
