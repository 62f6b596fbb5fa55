import { faultOfIssuerUrl } from '../forms/issuer-url.ts'
import { allowPrivate, tlsTrust } from '../forms/network.ts'
import { z } from '../forms/zod.ts'
import { clientAuthSettings, showsSecret } from './client-auth/registry.ts'
import { clientSecretSettings } from './client-secret.ts'
import { dpopSettings } from './dpop.ts'

const RESERVED = new Set([
  'grant_type',
  'client_id',
  'client_secret',
  'client_assertion',
  'client_assertion_type',
  'scope',
])

/** Lower case. */
const OTHER_TYPES = new Set(['dpop', 'mac', 'n_a', 'pop'])

/** The settings of a token endpoint and of the client that asks it; every source that asks one has them. */
export const endpointFields = {
  tokenEndpoint: z.string().optional().meta({ description: 'URL of the token endpoint; use this or `issuer`' }),
  issuer: z.string().optional().meta({
    description:
      'URL of the issuer, exactly as its metadata spells it: the token endpoint is read from there (RFC 8414, then OpenID discovery)',
  }),
  clientId: z
    .string()
    .regex(/^[\x20-\x7e]+$/, 'use printable ASCII')
    .meta({ description: 'the id under which the authorization server knows this client' }),
  clientSecret: clientSecretSettings.optional().meta({
    description:
      'the long-lived client secret, by reference; printable ASCII. With `{ current, next }` it is rotated without a restart, and without a request that fails',
  }),
  clientAuth: clientAuthSettings.prefault('header').meta({
    description:
      'how the client proves who it is: `header`, `body`, `header-and-body`, `none`, or one with settings, `{ kind: KIND }`',
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
  bearerNames: z
    .array(
      z
        .string()
        .regex(/^[a-z][a-z_-]*$/, 'use lower case letters')
        .refine((name) => !OTHER_TYPES.has(name), 'leave it out: a token of this type is no Bearer token'),
    )
    .optional()
    .meta({ description: 'what else the authorization server calls a Bearer token in `token_type`: Slack says `bot`' }),
  dpop: dpopSettings.optional().meta({
    description:
      'binds each token to a key that is made in this process and never leaves it (RFC 9449): `true`, or `{ alg }`; wants `inject: { kind: dpop }`. A refresh token of a client that proves itself by nothing (`clientAuth: none`) is bound, too, and ends with the process',
  }),
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
}

/** What they say. */
export type EndpointSettings = z.infer<z.ZodObject<typeof endpointFields>>

/** Where these settings send the client: its token endpoint, or the issuer that tells of one. */
export function urlOf({ tokenEndpoint, issuer }: Pick<EndpointSettings, 'tokenEndpoint' | 'issuer'>): URL {
  return new URL(tokenEndpoint ?? issuer ?? '')
}

/** Something that is wrong, and where. */
export interface Fault {
  readonly path: string[]
  readonly message: string
}

/** What is wrong with them taken together, for the refinement of a source; `reserved`: parameters that it sets itself. */
export function faultsOfEndpoint(settings: EndpointSettings, reserved: readonly string[] = []): readonly Fault[] {
  return [...faultsOfUrls(settings), ...faultsOfParameters(settings, reserved), ...faultsOfClient(settings)]
}

function faultsOfUrls(settings: EndpointSettings): Fault[] {
  const { tokenEndpoint, issuer, unsafeAllowPlaintextIssuer: plaintext } = settings
  if ((tokenEndpoint === undefined) === (issuer === undefined)) {
    return [{ path: [], message: 'use exactly one of tokenEndpoint and issuer' }]
  }
  const path = [tokenEndpoint === undefined ? 'issuer' : 'tokenEndpoint']
  const message = faultOfIssuerUrl(tokenEndpoint ?? issuer ?? '', { plaintext })
  if (message !== undefined) return [{ path, message }]
  return issuer?.includes('?') ? [{ path, message: 'use an issuer without a query (RFC 8414 section 2)' }] : []
}

function faultsOfParameters({ tokenParams }: EndpointSettings, reserved: readonly string[]): Fault[] {
  return Object.keys(tokenParams)
    .filter((name) => RESERVED.has(name) || reserved.includes(name))
    .map((name) => ({ path: ['tokenParams', name], message: `${name} has a setting of its own` }))
}

/** Without discovery nobody has told the name of the issuer. */
function faultsOfClient(settings: EndpointSettings): Fault[] {
  const { clientAuth, issuer, tokenEndpoint } = settings
  const isNameless = 'audience' in clientAuth && clientAuth.audience === 'issuer' && issuer === undefined
  const message = 'use the URL of the issuer itself: with tokenEndpoint nothing tells it'
  const faults = [...faultsOfSecret(settings), ...(isNameless ? [{ path: ['clientAuth', 'audience'], message }] : [])]
  const isInTheClear = clientAuth.kind === 'mtls' && (tokenEndpoint ?? issuer)?.startsWith('http:')
  const remedy = 'use https:// at the issuer: without TLS no certificate is shown'
  return isInTheClear ? [...faults, { path: ['clientAuth'], message: remedy }] : faults
}

const SHOWN_BY = ', or set clientAuth to header or body'

function faultsOfSecret({ clientAuth, clientSecret, basicEncoding, clientId }: EndpointSettings): Fault[] {
  const { kind } = clientAuth
  const shows = showsSecret(clientAuth)
  if (shows && !clientSecret)
    return [{ path: ['clientSecret'], message: `add it: clientAuth ${kind} shows the client secret` }]
  if (!shows && clientSecret)
    return [{ path: ['clientSecret'], message: `leave it out${SHOWN_BY}: clientAuth ${kind} shows no client secret` }]
  const isAmbiguous = shows && kind !== 'body' && basicEncoding === 'raw' && clientId.includes(':')
  return isAmbiguous ? [{ path: ['clientId'], message: 'use basicEncoding: rfc6749 for an id with a colon' }] : []
}
