import { z } from '../forms/zod.ts'
import { collectorEndpoint, collectorFields } from '../otlp/settings.ts'

const { headers, compression, timeoutMs, resource, tls, allowPrivate } = collectorFields

const sampler = z
  .strictObject({
    ratio: z
      .number()
      .min(0)
      .max(1)
      .default(1)
      .meta({ description: 'share of the traces that begin here which are recorded, by their id: 0 to 1' }),
    callers: z.enum(['follow', 'ignore']).default('follow').meta({
      description:
        'of an ask that comes with a `traceparent`: `follow` records what its caller records, `ignore` asks `ratio`',
    }),
    maxPerSecond: z.number().min(0.01).max(100_000).default(100).meta({
      description: 'asks recorded each second, for each caller, whatever it says; as many at once',
    }),
  })
  .prefault({})
  .meta({ description: 'which asks are recorded' })

/** What a settings file may say about traces. */
export const tracesSettings = z
  .strictObject({
    endpoint: collectorEndpoint('https://collector.example.com:4318/v1/traces').meta({
      description:
        'URL of the collector for traces, path included; most end in `/v1/traces`. `http://` to a loopback address alone',
    }),
    headers,
    compression,
    timeoutMs,
    sampler,
    paths: z.enum(['full', 'omit']).default('full').meta({
      description:
        '`omit` leaves paths out of spans, which may hold identifiers of people; a query is never in one, the audit has the path in any case',
    }),
    maxQueue: z.int().min(1).max(1_000_000).default(2048).meta({
      description: 'spans that wait at most; the oldest are dropped for the newest, and counted',
    }),
    maxBatch: z.int().min(1).max(10_000).default(256).meta({ description: 'spans sent together, at most' }),
    resource,
    tls,
    allowPrivate,
    unsafeAllowPlaintextCollector: z.boolean().default(false).meta({
      description:
        'lets `endpoint` be http:// to anywhere: whoever is on the way reads who asked for what, and the headers',
    }),
  })
  .refine(({ endpoint, unsafeAllowPlaintextCollector: isAllowed }) => isAllowed || !isPlaintextElsewhere(endpoint), {
    path: ['endpoint'],
    message:
      'use https://, or a loopback address such as http://127.0.0.1:4318/v1/traces, or, where nobody is on the way, set unsafeAllowPlaintextCollector: true',
  })
  .meta({ description: 'spans of each ask, for a collector that speaks OTLP over HTTP' })

export type TracesSettings = z.infer<typeof tracesSettings>

/** A name would be loopback only as long as whoever resolves it says so. */
export function isLoopback(endpoint: string): boolean {
  return /^(?:127(?:\.\d{1,3}){3}|\[::1\])$/.test(URL.parse(endpoint)?.hostname ?? '')
}

function isPlaintextElsewhere(endpoint: string): boolean {
  return endpoint.startsWith('http:') && !isLoopback(endpoint)
}
