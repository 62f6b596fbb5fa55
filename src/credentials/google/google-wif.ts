import { faultOfIssuerUrl } from '../../forms/issuer-url.ts'
import { z } from '../../forms/zod.ts'
import { TokenEndpoint } from '../../oauth/endpoint.ts'
import { type EndpointSettings, endpointFields } from '../../oauth/endpoint-settings.ts'
import { MintedSupply } from '../cache.ts'
import { Exchange } from '../exchange/exchange.ts'
import { subjectsOf } from '../exchange/subject.ts'
import { needsOfSubject, subjectSettings, tokenType, uriOfType } from '../exchange/subject-settings.ts'
import { lifetimeFields } from '../token-lifetime.ts'
import { mintageOf, type SourceKind } from '../tools.ts'
import { VaryingSupply } from '../varying.ts'
import { Impersonation } from './impersonation.ts'

const PLATFORM = 'https://www.googleapis.com/auth/cloud-platform'
const { tokenParams, timeoutMs, tls, allowPrivate } = endpointFields

const schema = z
  .strictObject({
    kind: z.literal('google-wif'),
    audience: z
      .string()
      .regex(
        /^\/\/iam\.googleapis\.com\/[!-~]+$/,
        'use the full name of the provider: "//iam.googleapis.com/projects/…"',
      )
      .meta({
        description:
          'name of the provider: `//iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`',
      }),
    subject: subjectSettings.meta({ description: 'the token that the provider knows the issuer of' }),
    subjectTokenType: tokenType.default('jwt').meta({ description: 'what it is: a short name, or a URI' }),
    scope: z
      .string()
      .min(1)
      .default(PLATFORM)
      .meta({ description: 'scope of the token that the upstream is shown: names with blanks between' }),
    serviceAccount: z
      .string()
      .regex(/^[A-Za-z0-9._-]+@[A-Za-z0-9.-]+$/, 'use the e-mail address of a service account')
      .optional()
      .meta({ description: 'whom to impersonate; without it the federated token itself is used' }),
    impersonationLifetimeMs: z
      .int()
      .min(600_000)
      .max(43_200_000)
      .default(3_600_000)
      .meta({ description: 'ms that a token of the service account is to live' }),
    tokenEndpoint: z
      .string()
      .default('https://sts.googleapis.com/v1/token')
      .meta({ description: 'URL of the Security Token Service' }),
    impersonationEndpoint: z
      .string()
      .default('https://iamcredentials.googleapis.com')
      .meta({ description: 'origin of the IAM Credentials API' }),
    tokenParams,
    timeoutMs,
    tls,
    allowPrivate,
    ...lifetimeFields,
  })
  .superRefine((settings, context) => {
    for (const name of ['tokenEndpoint', 'impersonationEndpoint'] as const) {
      const message = faultOfIssuerUrl(settings[name], { plaintext: 'never' })
      if (message !== undefined) context.addIssue({ code: 'custom', path: [name], message })
    }
    for (const name of Object.keys(settings.tokenParams).filter((one) => one !== 'options'))
      context.addIssue({
        code: 'custom',
        path: ['tokenParams', name],
        message: 'use `options` alone: Google knows no other',
      })
  })
  .meta({
    description:
      'workload identity federation of Google Cloud: a token of the workload, or of the caller, is exchanged for one of Google, and that one, if wanted, for one of a service account',
  })

type WifSettings = z.infer<typeof schema>

/** No key of Google's: what the workload has anyway is enough. */
export const googleWif: SourceKind<typeof schema> = {
  schema,
  needs: ({ subject }) => needsOfSubject('subject', subject),
  dials: ({ serviceAccount, impersonationEndpoint: url, allowPrivate: ranges }) =>
    serviceAccount === undefined ? [] : [{ url, what: 'impersonation', allowPrivate: ranges }],
  build(settings, tools) {
    const endpoint = new TokenEndpoint(endpointOf(settings), tools)
    const subjects = subjectsOf(settings.subject, tools)
    const exchange = new Exchange({ endpoint, subjects, terms: termsOf(settings) })
    const impersonation = settings.serviceAccount === undefined ? undefined : new Impersonation(settings, tools)
    const make = () =>
      new MintedSupply({
        async mint(purpose) {
          const federated = await exchange.mint(purpose)
          return impersonation ? impersonation.mint(federated) : federated
        },
        secretVersion: () => endpoint.secretVersion() + subjects.version(),
        ...mintageOf(tools),
      })
    return new VaryingSupply([subjects], make)
  },
}

function endpointOf(settings: WifSettings): EndpointSettings {
  const { serviceAccount, scope } = settings
  return {
    ...settings,
    // What is impersonated with has to reach the IAM API; the scope that was asked for is that of the next token.
    scope: serviceAccount === undefined ? scope : PLATFORM,
    issuer: undefined,
    clientId: '',
    clientAuth: { kind: 'none' },
    basicEncoding: 'rfc6749',
    unsafeAllowPlaintextIssuer: false,
  }
}

function termsOf(settings: WifSettings) {
  const requested = uriOfType('access_token')
  return {
    clientId: '',
    subjectType: uriOfType(settings.subjectTokenType),
    actorType: undefined,
    requested,
    mayBeUntyped: false,
    parameters: [
      ['audience', settings.audience],
      ['requested_token_type', requested],
    ],
    limits: settings,
  } as const
}
