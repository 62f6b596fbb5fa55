import { toBlockList } from '../forms/network.ts'
import type { z } from '../forms/zod.ts'
import type { References } from '../secrets/reference.ts'
import type { Dialer } from '../wire/dial.ts'
import { trustOf } from '../wire/trust.ts'
import { Collector, type CollectorTerms } from './collector.ts'
import type { collectorFields } from './settings.ts'

type Terms = z.infer<z.ZodObject<typeof collectorFields>> & { readonly endpoint: string }

interface Tools {
  readonly references: References
  readonly dialer: Dialer
}

/** The collector that settings describe. Does no I/O: the first batch dials. */
export function openCollector(
  settings: Terms,
  signal: CollectorTerms['signal'],
  { references, dialer }: Tools,
): Collector {
  const { endpoint, headers, compression, timeoutMs, tls, allowPrivate } = settings
  const held = Object.entries(headers).map(([name, reference]) => [name, references.secret(reference)] as const)
  return new Collector({
    signal,
    endpoint: new URL(endpoint),
    headers: Object.fromEntries(held),
    compression,
    timeoutMs,
    dialer,
    trust: trustOf(tls.ca && references.file(tls.ca)),
    allowPrivate: toBlockList(allowPrivate),
  })
}
