import type { AuthorizationServer, ClientAuth } from 'oauth4webapi'
import { textReference } from '../../forms/network.ts'
import { z } from '../../forms/zod.ts'
import { longLivedOf } from '../../secrets/reference.ts'
import { secretReference } from '../../secrets/registry.ts'
import { faultOfCertificates } from '../../wire/certificate-pair.ts'
import { LiveIdentity } from '../../wire/client-identity.ts'
import { signJwt } from '../sign-jwt.ts'
import { assertionAudience, showAssertion } from './assertion.ts'
import { type ClientAuthKind, identityOf } from './client-auth.ts'
import { clientAlgorithm, readClientKey } from './client-key.ts'

const schema = z
  .strictObject({
    kind: z.literal('private-key-jwt'),
    key: secretReference.meta({
      description: 'the private key, by reference: PEM without a passphrase, or a JWK; read anew when it is rotated',
    }),
    alg: clientAlgorithm
      .optional()
      .meta({ description: 'the algorithm of the signature; without it what fits the key' }),
    kid: z.string().min(1).optional().meta({ description: '`kid` of the header; without it that of a JWK' }),
    typ: z.string().min(1).default('JWT').meta({ description: '`typ` of the header' }),
    audience: assertionAudience.default('token-endpoint').meta({
      description: 'for whom the assertion is: `token-endpoint`, `issuer`, or a URL as it is',
    }),
    lifetimeMs: z
      .int()
      .min(60_000)
      .max(300_000)
      .default(300_000)
      .meta({ description: 'ms from `iat`, which is 30 s in the past, to `exp`' }),
    certificate: textReference(faultOfCertificates).meta({ title: 'file reference' }).optional().meta({
      description: 'PEM file of the certificate of the key, for servers that know it by `x5t#S256`',
    }),
  })
  .meta({ description: 'a JWT that the client signs with its private key, new for each request (RFC 7523)' })

/** @see RFC 7523 section 2.2 */
export const privateKeyJwt: ClientAuthKind<typeof schema> = {
  schema,
  showsSecret: false,
  build({ key, alg: wanted, kid, typ, audience, lifetimeMs, certificate }, { secret, file, clock }) {
    const held = secret(key)
    const pair = certificate && new LiveIdentity({ certificate: () => file(certificate), key: held })
    return {
      presentations() {
        const identity = pair && identityOf(pair)
        const current = longLivedOf(key, held)
        const behind = { ...current, secret: identity?.key ?? current.secret }
        const { alg, kid: own } = readClientKey(behind.secret, wanted)
        const header = { kid: kid ?? own, typ, 'x5t#S256': identity?.thumbprint }
        const authenticate: ClientAuth = async (server, { client_id: id }, parameters) => {
          const claims = { iss: id, sub: id, aud: audienceOf(audience, server) }
          const signing = { alg, header, claims, lifetimeMs, withNotBefore: true, now: clock.now() }
          const { jwt } = await signJwt(behind.secret, signing)
          showAssertion(parameters, id, jwt.reveal())
        }
        return [{ authenticate, behind }]
      },
      version: () => held.current().version + (pair?.version() ?? 0),
    }
  },
}

function audienceOf(audience: string, { issuer, token_endpoint: endpoint = '' }: AuthorizationServer): string {
  if (audience === 'issuer') return issuer
  return audience === 'token-endpoint' ? endpoint : audience
}
