import { faultOfIssuerUrl } from '../forms/issuer-url.ts'
import { allowPrivate, textReference } from '../forms/network.ts'
import { z } from '../forms/zod.ts'
import { workloadToken } from '../oauth/client-auth/assertion.ts'
import type { ClientAuthSettings } from '../oauth/client-auth/registry.ts'
import { clientSecretSettings } from '../oauth/client-secret.ts'
import { TokenEndpoint } from '../oauth/endpoint.ts'
import { type EndpointSettings, endpointFields, faultsOfEndpoint } from '../oauth/endpoint-settings.ts'
import { IssuerRefusal } from '../oauth/refusal.ts'
import { secretReference } from '../secrets/registry.ts'
import { faultOfCertificates } from '../wire/certificate-pair.ts'
import { MintedSupply } from './cache.ts'
import { remedyOf } from './entra-errors.ts'
import { mintedOf } from './minted-of.ts'
import { lifetimeFields } from './token-lifetime.ts'
import { mintageOf, type SourceKind } from './tools.ts'

/** Places that stand for whoever signs in; an app by itself signs in nowhere but in its own tenant. */
const NO_TENANTS = new Set(['common', 'organizations', 'consumers'])

const schema = z
  .strictObject({
    kind: z.literal('entra'),
    tenant: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9.-]*$/, 'use the id of the tenant, or one of its domains')
      .refine((tenant) => !NO_TENANTS.has(tenant.toLowerCase()), 'use the tenant itself: an app is in one tenant')
      .meta({ description: 'the id of the tenant, or one of its domains' }),
    clientId: endpointFields.clientId.meta({ description: 'the application (client) id' }),
    scope: z
      .string()
      .regex(/^\S+\/\.default$/, 'use the application ID URI of one resource and "/.default"')
      .meta({ description: 'the resource: its application ID URI and `/.default`' }),
    clientSecret: clientSecretSettings.optional().meta({
      description: 'a client secret, by reference; use this, or `certificate` and `key`, or `assertion`',
    }),
    certificate: textReference(faultOfCertificates).meta({ title: 'file reference' }).optional().meta({
      description: 'PEM file of the certificate that is registered; the app signs with its `key` (PS256)',
    }),
    key: secretReference.optional().meta({ description: 'the RSA key of the certificate, by reference' }),
    assertion: workloadToken.optional().meta({
      description:
        'file of a token of Kubernetes, SPIFFE or another issuer that a federated credential of the app names; it is for `api://AzureADTokenExchange`',
    }),
    authority: z
      .string()
      .superRefine((text, context) => {
        const fault = faultOfIssuerUrl(text, { plaintext: 'never' })
        const message = fault ?? (/^https:\/\/[^/?]+$/.test(text) ? undefined : 'use a URL without a path')
        if (message !== undefined) context.addIssue({ code: 'custom', message })
      })
      .default('https://login.microsoftonline.com')
      .meta({ description: 'where Entra is: another one for a sovereign cloud' }),
    tokenParams: endpointFields.tokenParams.meta({
      description: 'further parameters of the token request, as they are',
    }),
    timeoutMs: endpointFields.timeoutMs,
    tls: endpointFields.tls,
    allowPrivate,
    ...lifetimeFields,
  })
  .superRefine((settings, context) => {
    const { clientSecret, certificate, key, assertion, tokenParams } = settings
    const say = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message })
    if ([clientSecret, certificate ?? key, assertion].filter(Boolean).length !== 1)
      return say([], 'use exactly one of clientSecret, certificate with key, and assertion')
    if (certificate && !key) return say(['key'], 'missing: the key of the certificate')
    if (key && !certificate) return say(['certificate'], 'missing: Entra knows the key by its certificate')
    if ('resource' in tokenParams)
      return say(['tokenParams', 'resource'], 'leave it out: scope says the resource, and Entra takes one of the two')
    for (const { path, message } of faultsOfEndpoint(endpointOf(settings))) say(path, message)
  })
  .meta({
    description: 'tokens of Microsoft Entra ID for an app: by a secret, a certificate, or another issuer’s token',
  })

type Settings = z.infer<typeof schema>

/** Tokens of an app in Entra. @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow */
export const entra: SourceKind<typeof schema> = {
  schema,
  endpoint: endpointOf,
  build(settings, tools) {
    const endpoint = new TokenEndpoint(endpointOf(settings), tools)
    return new MintedSupply({
      mint: async () => mintedOf(await endpoint.request({ grantType: 'client_credentials' }).catch(explain), settings),
      secretVersion: () => endpoint.secretVersion(),
      ...mintageOf(tools),
    })
  },
}

function endpointOf(settings: Omit<Settings, 'kind'>): EndpointSettings {
  const { tenant, authority, clientId, clientSecret, scope, tokenParams, timeoutMs, tls } = settings
  return {
    tokenEndpoint: `${authority}/${tenant}/oauth2/v2.0/token`,
    clientId,
    clientSecret,
    clientAuth: clientAuthOf(settings),
    basicEncoding: 'rfc6749',
    scope,
    tokenParams,
    timeoutMs,
    tls,
    allowPrivate: settings.allowPrivate,
    unsafeAllowPlaintextIssuer: false,
  }
}

/** @see https://learn.microsoft.com/entra/identity-platform/certificate-credentials */
function clientAuthOf({ certificate, key, assertion }: Omit<Settings, 'kind'>): ClientAuthSettings {
  if (assertion) return { kind: 'workload-jwt', token: assertion }
  if (!certificate || !key) return { kind: 'body' }
  const signing = { alg: 'PS256', typ: 'JWT', audience: 'token-endpoint', lifetimeMs: 300_000 } as const
  return { kind: 'private-key-jwt', key, certificate, ...signing }
}

function explain(error: unknown): never {
  const remedy = error instanceof IssuerRefusal ? remedyOf(error.codes) : undefined
  if (!(error instanceof IssuerRefusal) || remedy === undefined) throw error
  const { answered: reason, retryAfter, codes } = error
  throw new IssuerRefusal(error.error, { reason: `${reason}, ${remedy}`, codes, retryAfter })
}
