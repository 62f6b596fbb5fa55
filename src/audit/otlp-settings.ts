import { z } from '../forms/zod.ts'
import { collectorEndpoint, collectorFields } from '../otlp/settings.ts'

const { headers, compression, timeoutMs, ...terms } = collectorFields

/** Settings of the OTLP sink. */
export const otlpSettings = z
  .strictObject({
    kind: z.literal('otlp'),
    endpoint: collectorEndpoint('https://collector.example.com:4318/v1/logs').meta({
      description: 'URL of the collector for logs, path included; most end in `/v1/logs`',
    }),
    headers,
    compression,
    timeoutMs,
    maxBatch: z.int().min(1).max(10_000).default(512).meta({ description: 'entries sent together, at most' }),
    ...terms,
    unsafeAllowPlaintextCollector: z.boolean().default(false).meta({
      description: 'lets `endpoint` be http://: whoever is on the way reads who asked for what, and the headers',
    }),
  })
  .refine(
    ({ endpoint: url, unsafeAllowPlaintextCollector }) => unsafeAllowPlaintextCollector || !url.startsWith('http:'),
    {
      path: ['endpoint'],
      message: 'use https://, or, where nobody is on the way, set unsafeAllowPlaintextCollector: true',
    },
  )
  .meta({ description: 'OTLP over HTTP, in JSON: log records for a collector' })

export type OtlpSettings = z.infer<typeof otlpSettings>
