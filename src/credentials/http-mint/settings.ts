import { hasOneReading } from '../../core/path.ts'
import { jsonValue } from '../../forms/json.ts'
import { z } from '../../forms/zod.ts'
import { secretReference } from '../../secrets/registry.ts'
import { JSON_POINTER } from '../json-pointer.ts'
import { lifetimeFields } from '../token-lifetime.ts'
import { placeholdersIn } from './json-template.ts'

/** What the exchange of bytes sets, what would be a second credential, and what would be one of a caller. */
const TAKEN =
  /^(?:host|connection|content-length|content-type|transfer-encoding|te|trailer|upgrade|expect|accept|accept-encoding|authorization|cookie|proxy-.*)$/

const pointer = z.string().regex(JSON_POINTER, 'use a JSON pointer such as "/auth/client_token"')

/** Filled in besides secrets: a text that no other request has. */
export const UNIQUE = 'uuid'

/** The settings of a token that a JSON endpoint gives. */
export const httpMintSchema = z
  .strictObject({
    kind: z.literal('http-mint'),
    connection: z.string().meta({
      description:
        'name of the connection that leads there: it is asked at its first exact host, with its own credential',
    }),
    method: z.enum(['POST', 'PUT', 'GET']).default('POST').meta({ description: 'how it is asked' }),
    path: z
      .string()
      .regex(/^\/[!-"$-~]*$/, 'use a path such as "/api/2.0/database/credentials"')
      .refine(
        (path) => hasOneReading(path.replace(/\?.*$/, '')),
        'use a path without "//", ".", ".." or an encoded slash',
      )
      .meta({ description: 'path, with or without a query; behind the `basePath` of that connection' }),
    headers: z
      .record(
        z
          .string()
          .regex(/^[a-z0-9-]+$/, 'use a name in lower case')
          .refine((name) => !TAKEN.test(name), 'leave it out: it is set already'),
        z.string().regex(/^[\x20-\x7e]*$/, 'use printable ASCII'),
      )
      .default({})
      .meta({ description: 'further fields of the request, such as `x-vault-namespace`' }),
    body: jsonValue.optional().meta({
      description:
        'the JSON to send; in its texts `${NAME}` is the secret of that name, `${uuid}` a text that no other request has, and `$${` is `${`',
    }),
    secrets: z
      .record(z.string().regex(/^[A-Za-z][A-Za-z0-9_]*$/, 'use a name of letters, digits and "_"'), secretReference)
      .default({})
      .meta({ description: 'secrets that the body holds, by name' }),
    tokenPointer: pointer.meta({ description: 'where in the answer the token is (RFC 6901)' }),
    expiryPointer: pointer.optional().meta({
      description:
        'where in the answer it says when the token expires: seconds from now, seconds or ms since the epoch (their sizes tell them apart), RFC 3339, or a duration such as `3600s`; without it the token itself tells, if it can',
    }),
    timeoutMs: z.int().min(100).max(60_000).default(10_000).meta({ description: 'ms for one mint as a whole' }),
    ...lifetimeFields,
  })
  .superRefine(({ method, body, secrets }, context) => {
    const add = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message })
    if (method === 'GET' && body !== undefined) add(['body'], 'leave it out: a GET has none')
    const used = new Set(placeholdersIn(body))
    const known = [...Object.keys(secrets), UNIQUE]
    for (const name of used)
      if (!known.includes(name))
        add(['body'], `use one of ${known.map((one) => `\${${one}}`).join(', ')}, or add ${name} to secrets`)
    for (const name of Object.keys(secrets)) {
      if (name === UNIQUE) add(['secrets', name], 'use another name: this one is a text that no other request has')
      else if (!used.has(name)) add(['secrets', name], `leave it out, or put \${${name}} into the body`)
    }
  })
  .meta({
    description:
      'tokens that a JSON endpoint gives when it is asked through another connection: a database credential of Databricks, a lease of Vault',
  })

export type HttpMintSettings = z.infer<typeof httpMintSchema>
