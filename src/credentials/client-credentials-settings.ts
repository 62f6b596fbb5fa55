import { faultOfIssuerUrl } from '../forms/issuer-url.ts'
import { allowPrivate, tlsTrust } from '../forms/network.ts'
import { z } from '../forms/zod.ts'
import { secretReference } from '../secrets/registry.ts'

const DAY_MS = 86_400_000
const RESERVED = new Set(['grant_type', 'client_id', 'client_secret', 'scope'])

const shape = z.strictObject({
  kind: z.literal('client-credentials'),
  tokenEndpoint: z.string().optional().meta({ description: 'URL of the token endpoint; use this or `issuer`' }),
  issuer: z.string().optional().meta({
    description:
      'URL of the issuer, exactly as its metadata spells it: the token endpoint is read from there (RFC 8414, then OpenID discovery)',
  }),
  clientId: z
    .string()
    .regex(/^[\x20-\x7e]+$/, 'use printable ASCII')
    .meta({ description: 'the id under which the authorization server knows this client' }),
  clientSecret: secretReference.meta({ description: 'the long-lived client secret, by reference; printable ASCII' }),
  clientAuth: z.enum(['header', 'body', 'header-and-body']).default('header').meta({
    description:
      'where the client secret goes: HTTP Basic, parameters of the body, or both, which strict servers refuse',
  }),
  basicEncoding: z.enum(['rfc6749', 'raw']).default('rfc6749').meta({
    description:
      'for HTTP Basic: form-encode id and secret first (RFC 6749 section 2.3.1), or `raw` for servers that do not decode',
  }),
  scope: z.string().min(1).optional().meta({ description: 'scope to ask for: names with blanks between' }),
  tokenParams: z
    .record(z.string().min(1), z.union([z.string(), z.array(z.string())]))
    .default({})
    .meta({
      description:
        'further parameters of the token request, as they are: `audience`, `resource`; a list is sent as one parameter each',
    }),
  defaultLifetimeMs: z
    .int()
    .min(1000)
    .max(DAY_MS)
    .default(300_000)
    .meta({ description: 'ms a token is taken to live when neither `expires_in` nor the token itself tells' }),
  maxLifetimeMs: z
    .int()
    .min(1000)
    .max(30 * DAY_MS)
    .default(DAY_MS)
    .meta({ description: 'ms after which a token is not used any more, whatever the issuer says' }),
  timeoutMs: z
    .int()
    .min(100)
    .max(60_000)
    .default(10_000)
    .meta({ description: 'ms for one mint as a whole: discovery, name resolution, TLS and answer' }),
  tls: tlsTrust.meta({ description: 'whom to trust about the name of the issuer' }),
  allowPrivate,
  unsafeAllowPlaintextIssuer: z
    .boolean()
    .default(false)
    .meta({ description: 'unsafe: lets the client secret travel over http://, for a test on one machine' }),
})

/** What the settings of a client-credentials source say. */
export type ClientCredentialsSettings = z.infer<typeof shape>

/** The schema of a client-credentials source. */
export const clientCredentialsSettings = shape
  .superRefine((settings, context) => {
    for (const { path, message } of faultsOf(settings)) context.addIssue({ code: 'custom', path, message })
  })
  .meta({
    description: 'tokens minted with the client’s own credentials (RFC 6749 section 4.4), refreshed before they expire',
  })

interface Fault {
  readonly path: string[]
  readonly message: string
}

function faultsOf(settings: ClientCredentialsSettings): Fault[] {
  return [...faultsOfUrls(settings), ...faultsOfParameters(settings)]
}

function faultsOfUrls(settings: ClientCredentialsSettings): Fault[] {
  const { tokenEndpoint, issuer, unsafeAllowPlaintextIssuer: plaintext } = settings
  if ((tokenEndpoint === undefined) === (issuer === undefined)) {
    return [{ path: [], message: 'use exactly one of tokenEndpoint and issuer' }]
  }
  const path = [tokenEndpoint === undefined ? 'issuer' : 'tokenEndpoint']
  const message = faultOfIssuerUrl(tokenEndpoint ?? issuer ?? '', { plaintext })
  if (message !== undefined) return [{ path, message }]
  return issuer?.includes('?') ? [{ path, message: 'use an issuer without a query (RFC 8414 section 2)' }] : []
}

function faultsOfParameters({ tokenParams, clientAuth, basicEncoding, clientId }: ClientCredentialsSettings): Fault[] {
  const named = Object.keys(tokenParams).filter((name) => RESERVED.has(name))
  const faults = named.map((name) => ({ path: ['tokenParams', name], message: `${name} has a setting of its own` }))
  const isAmbiguous = clientAuth !== 'body' && basicEncoding === 'raw' && clientId.includes(':')
  return isAmbiguous
    ? [...faults, { path: ['clientId'], message: 'use basicEncoding: rfc6749 for an id with a colon' }]
    : faults
}
