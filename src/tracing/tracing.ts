import type { Clock } from '../core/clock.ts'
import type { Secret } from '../core/secret.ts'
import type { Attributes } from '../otlp/attributes.ts'
import type { SpanId } from '../wire/trace-context.ts'
import { spanInJson } from './otlp-spans.ts'
import type { Candidate, Sampler } from './sampler.ts'
import { newSpanId, newTraceId, type Span } from './span.ts'

/** What spans are made with, where the settings have `traces`. Nothing here throws, and nothing waits. */
export interface Tracing {
  /** Whether paths may be in spans. */
  readonly hasPaths: boolean
  /** Call it once for each trace. */
  isRecorded(candidate: Candidate): boolean
  /** `make`: called at once; what it throws is told, and ends nothing. */
  export(make: () => Span): void
  /** A mint is nobody's: a trace of its own, to which asks that waited for it can link. */
  minted(mint: MintTold): void
  /** The mint that this came from, where that is recorded. */
  mintOf(secret: Secret): SpanId | undefined
}

/** How a mint went, as it is told of when it is over. */
export interface MintTold {
  readonly durationMs: number
  readonly attributes: Attributes
  /** Absent where it failed. */
  readonly secret?: Secret | undefined
}

interface Parts {
  readonly clock: Clock
  readonly sampler: Sampler
  readonly hasPaths: boolean
  push(span: string): void
  /** Asks that would have been recorded, and were too many. */
  onLimited(): void
  onFault(error: unknown): void
}

/** They share one rate; no caller has a name with a blank. */
const MINTS = ' mint'

/** Joins the sampler to the exporter. */
export function createTracing({ clock, sampler, hasPaths, push, onLimited, onFault }: Parts): Tracing {
  const mints = new WeakMap<Secret, SpanId>()

  function isRecorded(candidate: Candidate): boolean {
    const choice = sampler.choose(candidate)
    if (choice === 'over') onLimited()
    return choice === 'yes'
  }

  function send(make: () => Span): void {
    try {
      push(spanInJson(make()))
    } catch (error) {
      // Whatever is wrong with a span, the ask that it is about has been answered.
      onFault(error)
    }
  }

  return {
    hasPaths,
    isRecorded,
    export: send,
    minted({ durationMs, attributes, secret }) {
      const id = { traceId: newTraceId(), spanId: newSpanId() }
      if (!isRecorded({ traceId: id.traceId, isParentSampled: undefined, caller: MINTS })) return
      const endMs = clock.now()
      const isError = secret === undefined
      send(() => ({ ...id, kind: 'internal', name: 'mint', startMs: endMs - durationMs, endMs, attributes, isError }))
      if (secret) mints.set(secret, id)
    },
    mintOf: (secret) => mints.get(secret),
  }
}
