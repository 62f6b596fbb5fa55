import type { HeldSecret, Secret } from '../core/secret.ts'
import { z } from '../forms/zod.ts'
import { TokenEndpoint } from '../oauth/endpoint.ts'
import { endpointFields, faultsOfEndpoint } from '../oauth/endpoint-settings.ts'
import { advised } from '../oauth/refusal.ts'
import { signingAlgorithm, signJwt } from '../oauth/sign-jwt.ts'
import { longLivedOf } from '../secrets/reference.ts'
import { secretReference } from '../secrets/registry.ts'
import { MintedSupply } from './cache.ts'
import { readServiceAccount } from './google/service-account.ts'
import { mintedOf } from './minted-of.ts'
import { clientOf, faultsOfOptionalClient, optionalClientFields } from './optional-client.ts'
import { lifetimeFields } from './token-lifetime.ts'
import { mintageOf, type SourceKind } from './tools.ts'

const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const NOT_TAKEN =
  'the assertion was not taken: compare its key, iss, sub and aud with what is registered there, and the clock of this machine'
const OWN_CLAIMS = new Set(['iss', 'sub', 'aud', 'scope', 'exp', 'iat', 'nbf', 'jti'])

const assertionSettings = z
  .strictObject({
    alg: signingAlgorithm.default('RS256').meta({ description: 'algorithm of the signature; it has to fit the key' }),
    kid: z.string().min(1).optional().meta({ description: 'which of the client’s keys it is, in the header' }),
    issuer: z.string().min(1).optional().meta({ description: '`iss`; without it the `clientId`' }),
    subject: z
      .string()
      .min(1)
      .optional()
      .meta({ description: '`sub`: whom the token is to be for, as a user by domain-wide delegation' }),
    audience: z
      .string()
      .min(1)
      .optional()
      .meta({ description: '`aud`; without it the `tokenEndpoint`, or the `issuer`, of the authorization server' }),
    scope: z.string().min(1).optional().meta({ description: '`scope` as a claim, as Google wants it' }),
    claims: z.record(z.string().min(1), z.unknown()).default({}).meta({ description: 'further claims, as they are' }),
    lifetimeMs: z.int().min(60_000).max(3_600_000).default(300_000).meta({
      description: 'ms from `iat`, which is 30 s in the past, to `exp`; each assertion is used once, at once',
    }),
  })
  .prefault({})

const schema = z
  .strictObject({
    kind: z.literal('jwt-bearer'),
    ...endpointFields,
    ...optionalClientFields,
    key: secretReference
      .optional()
      .meta({ description: 'the private key, by reference: PEM without a passphrase; use this or `serviceAccount`' }),
    serviceAccount: secretReference.optional().meta({
      description:
        'the JSON key file of a Google service account, by reference: key, `kid` and `iss` are read from it, and its `token_uri` has to be `tokenEndpoint`',
    }),
    assertion: assertionSettings.meta({ description: 'what is signed' }),
    ...lifetimeFields,
  })
  .superRefine((settings, context) => {
    const faults = [...faultsOfEndpoint(settings, ['assertion']), ...faultsOfOptionalClient(settings)]
    for (const { path, message } of [...faults, ...faultsOfAssertion(settings)])
      context.addIssue({ code: 'custom', path, message })
  })
  .meta({
    description:
      'tokens for a JWT that is signed here (RFC 7523 section 2.1): Google service accounts, Salesforce, and whoever else knows the key',
  })

type JwtBearerSettings = z.infer<typeof schema>

function faultsOfAssertion(settings: Omit<JwtBearerSettings, 'kind'>) {
  const { key, serviceAccount, assertion, tokenEndpoint, scope } = settings
  const faults = Object.keys(assertion.claims)
    .filter((name) => OWN_CLAIMS.has(name))
    .map((name) => ({
      path: ['assertion', 'claims', name],
      message: `${name} has a setting of its own, or is made anew`,
    }))
  const add = (path: string[], message: string) => void faults.push({ path, message })
  if ((key === undefined) === (serviceAccount === undefined)) add([], 'use exactly one of key and serviceAccount')
  if (serviceAccount && tokenEndpoint === undefined)
    add(['tokenEndpoint'], 'add it: the token_uri of the file, https://oauth2.googleapis.com/token as a rule')
  if (serviceAccount && scope !== undefined) add(['scope'], 'use assertion.scope: Google reads it as a claim')
  for (const name of ['issuer', 'kid'] as const)
    if (serviceAccount && assertion[name] !== undefined)
      add(['assertion', name], 'leave it out: it is read from the file of serviceAccount')
  if (!serviceAccount && assertion.issuer === undefined && settings.clientId === '')
    add(['assertion', 'issuer'], 'add it, or clientId: who signs has to be said')
  return faults
}

/** Tokens for an assertion of our own. @see RFC 7523 section 2.1 */
export const jwtBearer: SourceKind<typeof schema> = {
  schema,
  build(settings, tools) {
    const endpoint = new TokenEndpoint(settings, tools)
    const reference = settings.serviceAccount ?? settings.key
    if (!reference) throw new Error('no key: the schema let it through')
    const held = tools.secret(reference)
    return new MintedSupply({
      async mint() {
        const { jwt } = await signAssertion(settings, held, tools.clock.now())
        const asked = endpoint.request({
          grantType: GRANT_TYPE,
          parameters: [['assertion', jwt.reveal()]],
          ...clientOf(settings.clientId),
        })
        const granted = await asked.catch((error: unknown) => {
          throw advised(error, ['invalid_grant'], NOT_TAKEN)
        })
        return { ...mintedOf(granted, settings), behind: longLivedOf(reference, held) }
      },
      secretVersion: () => endpoint.secretVersion() + held.current().version,
      ...mintageOf(tools),
    })
  },
}

function signAssertion(settings: JwtBearerSettings, held: HeldSecret, now: number) {
  const { assertion, tokenEndpoint, issuer, clientId } = settings
  const { alg, subject, audience = tokenEndpoint ?? issuer, scope, claims, lifetimeMs } = assertion
  const { key, kid, iss } = signerOf(settings, held.current().secret)
  return signJwt(key, {
    alg,
    header: { typ: 'JWT', kid },
    claims: { ...claims, iss: iss ?? clientId, sub: subject, aud: audience, scope },
    lifetimeMs,
    now,
  })
}

interface Signer {
  readonly key: Secret
  readonly kid: string | undefined
  readonly iss: string | undefined
}

function signerOf({ serviceAccount, tokenEndpoint, assertion }: JwtBearerSettings, secret: Secret): Signer {
  if (!serviceAccount) return { key: secret, kid: assertion.kid, iss: assertion.issuer }
  const { key, keyId: kid, email: iss } = readServiceAccount(secret, tokenEndpoint)
  return { key, kid, iss }
}
