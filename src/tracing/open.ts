import type { Clock } from '../core/clock.ts'
import type { Dialled } from '../forms/kind.ts'
import type { Collector } from '../otlp/collector.ts'
import { openCollector } from '../otlp/open.ts'
import type { References } from '../secrets/reference.ts'
import type { Dialer } from '../wire/dial.ts'
import { type DropReason, Exporter } from './exporter.ts'
import { spansRequest } from './otlp-spans.ts'
import { Sampler } from './sampler.ts'
import { isLoopback, type TracesSettings } from './settings.ts'
import { createTracing, type Tracing } from './tracing.ts'

/** What tracing is opened with. */
export interface TracingTools {
  readonly clock: Clock
  readonly references: References
  readonly dialer: Dialer
  /** What identifies this process to a collector. */
  readonly instance: string
  /** Of Sallyport. */
  readonly version: string
  /** What keeps spans from coming through. */
  onFault(reason: string): void
  /** Spans that nobody will see. `rate`: of asks that were not recorded because there were too many. */
  onDropped(count: number, reason: DropReason | 'rate'): void
}

/** Tracing, and how to end it: what is left is sent within that time. */
export interface OpenTracing {
  readonly tracing: Tracing
  close(withinMs: number): Promise<void>
}

/** How long a batch that is not full waits for more. */
const TICK_MS = 1_000
const LOOPBACK = ['127.0.0.0/8', '::1/128']

/** The collector that spans go to. Does no I/O. */
export function openTraceCollector(
  settings: TracesSettings,
  tools: Pick<TracingTools, 'references' | 'dialer'>,
): Collector {
  return openCollector({ ...settings, allowPrivate: allowedFor(settings) }, 'traces', tools)
}

/** Whom these settings make us dial, for a network's own policy. */
export function dialledByTraces(settings: TracesSettings): Dialled {
  return [{ url: settings.endpoint, what: 'collector', allowPrivate: allowedFor(settings) }]
}

/** Whoever writes a loopback address means it. */
function allowedFor({ endpoint, allowPrivate }: TracesSettings): string[] {
  return isLoopback(endpoint) ? [...allowPrivate, ...LOOPBACK] : allowPrivate
}

/** Opens what the settings say. Does no I/O: the first batch dials. */
export function openTracing(settings: TracesSettings, tools: TracingTools): OpenTracing {
  const { maxQueue, maxBatch, paths } = settings
  const { clock, instance, version, onFault, onDropped } = tools
  const collector = openTraceCollector(settings, tools)
  const resource = {
    'service.name': 'sallyport',
    'service.version': version,
    'service.instance.id': instance,
    ...settings.resource,
  }
  const exporter = new Exporter({
    send: (spans) => collector.send(spansRequest(spans, resource, version), spans.length),
    maxQueue,
    maxBatch,
    tickMs: TICK_MS,
    onFault,
    onDropped,
  })
  const tracing = createTracing({
    clock,
    sampler: new Sampler(settings.sampler, clock),
    hasPaths: paths === 'full',
    push: (span) => exporter.push(span),
    onLimited: () => onDropped(1, 'rate'),
    onFault: (error) => onFault(error instanceof Error ? error.message : String(error)),
  })
  return {
    tracing,
    async close(withinMs) {
      await exporter.close(withinMs)
      await collector.close()
    },
  }
}
