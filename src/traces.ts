import { hostname } from 'node:os'
import about from '../package.json' with { type: 'json' }
import type { Site } from './keeping.ts'
import type { Metrics } from './telemetry/metrics.ts'
import { openTracing } from './tracing/open.ts'
import type { Tracing } from './tracing/tracing.ts'
import type { Dialer } from './wire/dial.ts'

interface Parts {
  readonly metrics: Metrics
  readonly dialer: Dialer
  /** For how long everything has been closing; ms. */
  closingFor(): number
}

/** However long the doors took to drain: the spans of the very asks that were drained are still to be sent. */
const LEAST_FLUSH_MS = 1_000

/** Opens tracing, where the settings have it; at the end what is left is sent in what is left of the time to drain. */
export function openTracesOf(site: Site, { metrics, dialer, closingFor }: Parts): Tracing | undefined {
  const { loaded, log, references, clock, closers } = site
  const { traces, audit, drainTimeoutMs } = loaded.settings
  if (!traces) return undefined
  const { tracing, close } = openTracing(traces, {
    clock,
    references,
    dialer,
    instance: audit.instance ?? hostname(),
    version: about.version,
    onFault: (reason) => log.warn({ reason }, 'traces cannot be sent'),
    onDropped: (count, reason) => metrics.spansDropped.inc({ reason }, count),
  })
  closers.push(() => close(Math.max(LEAST_FLUSH_MS, drainTimeoutMs - closingFor())))
  return tracing
}
