import { Problem } from '../../core/problem.ts'
import type { Purpose } from '../../core/purpose.ts'
import type { Secret } from '../../core/secret.ts'
import { faultOfIssuerUrl } from '../../forms/issuer-url.ts'
import { z } from '../../forms/zod.ts'
import { AUTHORIZATION_RESERVED } from '../../oauth/authorization.ts'
import { TokenEndpoint } from '../../oauth/endpoint.ts'
import { endpointFields, type Fault, faultsOfEndpoint, urlOf } from '../../oauth/endpoint-settings.ts'
import { MintedSupply } from '../cache.ts'
import { ForgetfulSupply } from '../forgetful.ts'
import { KeyedSupply } from '../keyed.ts'
import { lifetimeFields } from '../token-lifetime.ts'
import { mintageOf, type SourceKind, type SourceTools } from '../tools.ts'
import { CodeDesk } from './code-desk.ts'
import type { LoginContent } from './content.ts'
import { callerFor, callerOf, identityFor, identitySettings } from './identity.ts'
import { Refresher } from './refresher.ts'
import { type RevocationEvent, Revoker } from './revoker.ts'

const schema = z
  .strictObject({
    kind: z.literal('authorization-code'),
    ...endpointFields,
    authorizationEndpoint: z.string().optional().meta({
      description: 'URL where people are asked for their consent; with `issuer` it is read from there',
    }),
    revocationEndpoint: z.string().optional().meta({
      description:
        'URL where tokens are revoked when somebody logs out (RFC 7009); with `issuer` it is read from there, where there is one. `none`: nobody is told',
    }),
    authorizationParams: z.record(z.string().min(1), z.string()).default({}).meta({
      description:
        'further parameters of the authorization request, as they are: `access_type: offline`, `prompt: consent`, `audience`',
    }),
    identity: identitySettings.default('shared').meta({
      description:
        '`shared`: one login serves all callers; `per-caller`: each has its own, by its name; `{ claim: NAME }`: by a claim of the token that it shows',
    }),
    ...lifetimeFields,
  })
  .superRefine((settings, context) => {
    const faults = [...faultsOfEndpoint(settings, OWN_PARAMETERS), ...faultsOfAuthorization(settings)]
    for (const { path, message } of faults) context.addIssue({ code: 'custom', path, message })
  })
  .meta({
    description:
      'tokens on behalf of a person who has consented once (RFC 6749 section 4.1, PKCE), by `sallyport login` or at the admin door; refresh tokens are kept in the store: needs `store` with a `key`, and `admin`',
  })

const OWN_PARAMETERS = ['code', 'redirect_uri', 'code_verifier', 'refresh_token']

interface Authorization {
  readonly tokenEndpoint?: string | undefined
  readonly revocationEndpoint?: string | undefined
  readonly authorizationEndpoint?: string | undefined
  readonly authorizationParams: Readonly<Record<string, string>>
  readonly unsafeAllowPlaintextIssuer: boolean
}

function faultsOfAuthorization(settings: Authorization): Fault[] {
  const { tokenEndpoint, authorizationEndpoint, authorizationParams, unsafeAllowPlaintextIssuer: plaintext } = settings
  const path = ['authorizationEndpoint']
  if (tokenEndpoint !== undefined && authorizationEndpoint === undefined)
    return [{ path, message: 'add it: beside tokenEndpoint nothing says where people are asked for their consent' }]
  const message = authorizationEndpoint && faultOfIssuerUrl(authorizationEndpoint, { plaintext })
  const revocationEndpoint = revocationUrl(settings)
  const unfit = revocationEndpoint && faultOfIssuerUrl(revocationEndpoint, { plaintext })
  const reserved = Object.keys(authorizationParams).filter((name) => AUTHORIZATION_RESERVED.includes(name))
  return [
    ...(message ? [{ path, message }] : []),
    ...(unfit ? [{ path: ['revocationEndpoint'], message: `${unfit}, or none` }] : []),
    ...reserved.map((name) => ({ path: ['authorizationParams', name], message: `${name} is set by Sallyport itself` })),
  ]
}

/** Undefined where it is to be found out, or nobody is to be told. */
function revocationUrl({ revocationEndpoint }: Pick<Authorization, 'revocationEndpoint'>): string | undefined {
  return revocationEndpoint === 'none' ? undefined : revocationEndpoint
}

type Settings = z.output<typeof schema>

/** Tokens on behalf of people who have logged in. */
export const authorizationCode: SourceKind<typeof schema> = {
  schema,
  keepsTokens: true,
  dials(settings) {
    const url = revocationUrl(settings)
    return url === undefined ? [] : [{ url, what: 'revocation endpoint', allowPrivate: settings.allowPrivate }]
  },
  build(settings, tools) {
    const endpoint = new TokenEndpoint(settings, tools)
    const { name: connection = '', logins, clock, ending } = tools
    const { identity, revocationEndpoint } = settings
    const tell = (event: RevocationEvent) => tools.onRevocation?.(event)
    const revoker = new Revoker({ endpoint, logins, revocationEndpoint, ending, tell })
    const context = { settings, tools, endpoint, revoker }
    const deskOf = (held: (identity: string) => Secret | undefined) =>
      new CodeDesk({ connection, endpoint, logins, clock, settings, revoker, held, of: grantorOf(settings) })
    if (identity === 'shared') {
      const supply = supplyOf('shared', context)
      return Object.assign(supply, { desk: deskOf(() => supply.held()) })
    }
    const keyed = new KeyedSupply({
      keyOf: (purpose) => identityFor(callerFor(purpose, identity), identity),
      supplyFor: (key) => supplyOf(key, context),
    })
    return Object.assign(keyed, { desk: deskOf((key) => keyed.at(key)?.held()) })
  },
}

/** A refresh token is shown to nobody else than who gave it, whatever becomes of the settings of a connection of that name. */
function grantorOf(settings: Settings): string {
  return `${urlOf(settings).host} ${settings.clientId}`
}

interface Context {
  readonly settings: Settings
  readonly tools: SourceTools
  readonly endpoint: TokenEndpoint
  readonly revoker: Revoker
}

function supplyOf(identity: string, { settings, tools, endpoint, revoker }: Context): ForgetfulSupply {
  const { name: connection = '', logins, clock } = tools
  const place = { connection, identity }
  const gone = (reason: string) => new Problem('login-required', { reason: `${reason}: somebody has to log in` })
  const orphaned = ({ refreshToken, access }: LoginContent, isReplaced: boolean) =>
    void (isReplaced
      ? revoker.refuse(place, REPLACED)
      : revoker.begin(place, { refreshToken, accessTokens: [access?.secret] }))
  const terms = { place, endpoint, settings, clock, gone, orphaned, of: grantorOf(settings) }
  const refresher = logins && new Refresher({ ...terms, logins })
  const mark = () => logins?.find(place)?.id ?? ''
  const supply = new MintedSupply({
    mint: async () => {
      if (!refresher) throw new Problem('credential-failed', { reason: NO_STORE })
      const before = mark()
      const minted = await refresher.mint()
      if (mark() !== before) throw new Problem('credential-unavailable', CHANGED)
      // Also what is minted with it, by other connections, ends with the login.
      return { ...minted, isGood: () => mark() === before && (minted.isGood?.() ?? true) }
    },
    secretVersion: () => endpoint.secretVersion(),
    ...mintageOf(tools),
  })
  return new ForgetfulSupply(supply, {
    mark,
    missing: () => (logins && !logins.find(place) ? gone('nobody has logged in') : undefined),
    tell: (problem, purpose) => told(problem, purpose, { identity, settings, tools }),
  })
}

/** In the form that clients of Unity Catalog recognise, so that they send their user there. */
function told(
  problem: Problem,
  purpose: Purpose | undefined,
  { identity, settings, tools }: Pick<Context, 'settings' | 'tools'> & { readonly identity: string },
): Problem {
  if (problem.code !== 'login-required') return problem
  const { name: connection = '' } = tools
  const caller = callerOf(identity, settings.identity)
  const whose = caller ?? purpose?.caller.name ?? ''
  const url = tools.loginUrl?.(connection, caller) ?? ''
  const detail = `Credential for user identity('${whose}') is not found for the connection '${connection}'. Please login first to the connection by visiting ${url}`
  return new Problem(problem.code, { reason: problem.reason, detail, cause: problem.cause })
}

const CHANGED = { reason: 'the login was taken back, or is another one, since it was asked for', retryAfter: 1 }
/** Some issuers end all that a person has consented to with any part of it. */
const REPLACED = 'it was refreshed while it was taken away, and somebody has logged in there since'
const NO_STORE = 'there is no store open here to keep logins in'
