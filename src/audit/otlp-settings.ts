import { allowPrivate, tlsTrust } from '../forms/network.ts'
import { z } from '../forms/zod.ts'
import { secretReference } from '../secrets/registry.ts'

const endpoint = z.string().superRefine((text, context) => {
  const fault = faultOfEndpoint(text)
  if (fault) context.addIssue({ code: 'custom', message: fault })
})

function faultOfEndpoint(text: string): string | undefined {
  const url = URL.parse(text)
  if (!url || !/^https?:\/\/[^/]/.test(text)) return 'use a URL such as "https://collector.example.com:4318/v1/logs"'
  if (url.username || url.password || url.search || url.hash)
    return 'use a URL without a user, a query or a fragment; a key goes into "headers"'
  return url.href === text ? undefined : `use "${url.href}"`
}

const headerName = z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'use the name of a header in lower case, as in "x-api-key"')

/** Settings of the OTLP sink. */
export const otlpSettings = z
  .strictObject({
    kind: z.literal('otlp'),
    endpoint: endpoint.meta({ description: 'URL of the collector for logs, path included; most end in `/v1/logs`' }),
    headers: z
      .record(headerName, secretReference)
      .default({})
      .meta({ description: 'headers by which the collector knows us; each value is a secret' }),
    compression: z.enum(['gzip', 'none']).default('gzip').meta({ description: 'of what is sent' }),
    timeoutMs: z
      .int()
      .min(1)
      .max(86_400_000)
      .default(10_000)
      .meta({ description: 'ms for sending one batch, answer included' }),
    maxBatch: z.int().min(1).max(10_000).default(512).meta({ description: 'entries sent together, at most' }),
    resource: z
      .record(z.string().min(1), z.string())
      .default({})
      .meta({ description: 'attributes of the resource, besides `service.name` and `service.instance.id`' }),
    tls: tlsTrust.meta({ description: 'whom to trust as the collector' }),
    allowPrivate,
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
