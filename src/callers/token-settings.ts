import { faultOfIssuerUrl } from '../forms/issuer-url.ts'
import type { DialledServer } from '../forms/kind.ts'
import { allowPrivate, textReference, tlsTrust, toBlockList } from '../forms/network.ts'
import { z } from '../forms/zod.ts'
import { trustOf } from '../wire/trust.ts'
import { ALGORITHMS, faultOfJwks } from './jwks.ts'
import { fetchKeys } from './jwks-fetch.ts'
import { FileKeys, type KeySource, RemoteKeys } from './jwks-source.ts'
import type { CallerTools } from './method.ts'
import type { Terms } from './token-checks.ts'

const DAY_MS = 86_400_000

// Object.keys has forgotten the names of the keys.
const algorithm = z.enum(Object.keys(ALGORITHMS) as (keyof typeof ALGORITHMS)[])

/** A file of keys is public, and is read again when it changes. */
export const jwksFile = textReference(faultOfJwks)
/** Where keys are on the network. */
export const jwksUrl = z.strictObject({ url: z.string() })

/** Settings of every kind of token: whose keys, for whom, and how strictly. */
export const tokenShape = {
  audience: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).meta({
    description:
      'own name of this Sallyport, as issuers put it into `aud`; of several one has to be there. A name that nobody else takes: a token for somebody else would be good here, too',
  }),
  jwks: z.union([jwksUrl, jwksFile], { error: 'use { url: URL } or { file: PATH }' }).optional().meta({
    description:
      'where the keys of the issuer are: `{ url: URL }`, or `{ file: PATH }`, which is read again when it changes; without it the metadata of the issuer say (OpenID discovery, then RFC 8414)',
  }),
  algorithms: z
    .array(algorithm)
    .min(1)
    .default(['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA', 'Ed25519'])
    .meta({ description: 'algorithms of signatures that are taken; never `none`, never one with a shared secret' }),
  clockSlackMs: z.int().min(0).max(60_000).default(60_000).meta({
    description: 'ms by which the clocks of issuer and Sallyport may differ',
  }),
  keysRefreshMs: z.int().min(1_000).max(DAY_MS).default(600_000).meta({
    description:
      'ms after which keys are fetched anew before a token is judged by them: a key that was withdrawn is good for that long. A key nobody knows is looked for at once, every ten seconds at most',
  }),
  keysMaxAgeMs: z
    .int()
    .min(1_000)
    .max(7 * DAY_MS)
    .default(DAY_MS)
    .meta({ description: 'ms that keys serve while the issuer cannot be reached' }),
  timeoutMs: z.int().min(100).max(60_000).default(5_000).meta({
    description: 'ms for one exchange with whoever vouches for the tokens: name resolution, TLS and answer',
  }),
  tls: tlsTrust.meta({ description: 'whom to trust about the name of the issuer' }),
  allowPrivate,
  unsafeAllowPlaintextIssuer: z.boolean().default(false).meta({
    description: 'unsafe: lets keys come over http://, where whoever is on the way can give keys of its own',
  }),
}

const shape = z.strictObject(tokenShape)
/** What every kind of token says in settings. */
export type TokenSettings = z.infer<typeof shape>

interface Fault {
  readonly path: string[]
  readonly message: string
}

type Places = Pick<TokenSettings, 'jwks' | 'unsafeAllowPlaintextIssuer'> & { readonly issuer?: string | undefined }

/** What is wrong with where the keys are; where they are named, an issuer may be any text. */
export function faultsOfPlaces({ issuer, jwks, unsafeAllowPlaintextIssuer: plaintext }: Places): Fault[] {
  if (jwks && 'url' in jwks) return faultAt(['jwks', 'url'], faultOfIssuerUrl(jwks.url, { plaintext }))
  if (jwks || issuer === undefined) return []
  const message = faultOfIssuerUrl(issuer, { plaintext })
  if (message === undefined && issuer.includes('?'))
    return faultAt(['issuer'], 'use an issuer without a query (RFC 8414 section 2), or name its keys by jwks')
  return faultAt(['issuer'], message)
}

function faultAt(path: string[], message: string | undefined): Fault[] {
  return message === undefined ? [] : [{ path, message }]
}

/** Where the keys are fetched from. */
export function keyServers({ issuer, jwks, allowPrivate: ranges }: TokenSettings & Places): readonly DialledServer[] {
  if (jwks) return 'url' in jwks ? [{ url: jwks.url, what: 'keys', allowPrivate: ranges }] : []
  return issuer === undefined ? [] : [{ url: issuer, what: 'issuer', allowPrivate: ranges, isSignpost: true }]
}

/** The terms that settings put to every token. */
export function termsOf({ algorithms, audience, clockSlackMs }: TokenSettings): Terms {
  return { algorithms: new Set(algorithms), audiences: new Set([audience].flat()), clockSlackMs }
}

/** A way to whoever the settings name. */
export function routeOf({ tls, allowPrivate: ranges, timeoutMs }: TokenSettings, { dialer, references }: CallerTools) {
  return { dialer, trust: trustOf(tls.ca && references.file(tls.ca)), allowPrivate: toBlockList(ranges), timeoutMs }
}

/** Gives one source of keys to all callers that mean the same. Does no I/O. */
export class KeySources {
  readonly #tools: CallerTools
  readonly #known = new Map<string, KeySource>()

  constructor(tools: CallerTools) {
    this.#tools = tools
  }

  /** `authorization`: what to show where the settings point to. */
  of(settings: TokenSettings, issuer: string, authorization?: () => string): KeySource {
    const { jwks, keysRefreshMs, keysMaxAgeMs, timeoutMs, tls, allowPrivate: ranges } = settings
    const { unsafeAllowPlaintextIssuer: plaintext } = settings
    const same = JSON.stringify([issuer, jwks, keysRefreshMs, keysMaxAgeMs, timeoutMs, tls, ranges, plaintext])
    const source = this.#known.get(same) ?? this.#build(settings, issuer, authorization)
    this.#known.set(same, source)
    return source
  }

  #build(settings: TokenSettings, issuer: string, authorization: (() => string) | undefined): KeySource {
    const { clock, references } = this.#tools
    const { jwks, keysRefreshMs: refreshMs, keysMaxAgeMs: maxAgeMs, timeoutMs } = settings
    if (jwks && !('url' in jwks)) return new FileKeys(() => references.file(jwks))
    const plaintext = settings.unsafeAllowPlaintextIssuer
    const place = { issuer, url: jwks?.url, route: routeOf(settings, this.#tools), plaintext, authorization }
    return new RemoteKeys({
      clock,
      refreshMs,
      maxAgeMs,
      fetch: () => fetchKeys(place, AbortSignal.timeout(timeoutMs)),
      onFault: (reason) => this.#tools.onFault(`the keys of ${issuer} cannot be fetched: ${reason}`),
    })
  }
}
