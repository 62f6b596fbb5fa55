import { allowPrivate, tlsTrust } from '../forms/network.ts'
import { z } from '../forms/zod.ts'
import { secretReference } from '../secrets/registry.ts'

const headerName = z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'use the name of a header in lower case, as in "x-api-key"')

/** The URL of a collector. `example`: for the message about one that is none. */
export function collectorEndpoint(example: string): z.ZodString {
  return z.string().superRefine((text, context) => {
    const fault = faultOfEndpoint(text, example)
    if (fault) context.addIssue({ code: 'custom', message: fault })
  })
}

function faultOfEndpoint(text: string, example: string): string | undefined {
  const url = URL.parse(text)
  if (!url || !/^https?:\/\/[^/]/.test(text)) return `use a URL such as "${example}"`
  if (url.username || url.password || url.search || url.hash)
    return 'use a URL without a user, a query or a fragment; a key goes into "headers"'
  return url.href === text ? undefined : `use "${url.href}"`
}

/** How a collector is asked, whatever is sent to it. */
export const collectorFields = {
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
  resource: z
    .record(z.string().min(1), z.string())
    .default({})
    .meta({ description: 'attributes of the resource, besides `service.name` and `service.instance.id`' }),
  tls: tlsTrust.meta({ description: 'whom to trust as the collector' }),
  allowPrivate,
}
