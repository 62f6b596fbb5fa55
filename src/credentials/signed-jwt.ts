import { Problem } from '../core/problem.ts'
import type { Secret } from '../core/secret.ts'
import { jsonValue } from '../forms/json.ts'
import { z } from '../forms/zod.ts'
import { signingAlgorithm, signJwt } from '../oauth/sign-jwt.ts'
import { longLivedOf } from '../secrets/reference.ts'
import { secretReference } from '../secrets/registry.ts'
import { MintedSupply } from './cache.ts'
import type { Minted } from './mint.ts'
import { snowflakeClaims, snowflakeSettings } from './snowflake.ts'
import { mintageOf, type SourceKind, type SourceTools } from './tools.ts'

/** Those that each JWT has of its own. */
const OWN = ['iat', 'exp', 'jti', 'nbf']

const schema = z
  .strictObject({
    kind: z.literal('signed-jwt'),
    key: secretReference.meta({
      description: 'the private key, by reference; PEM, unencrypted; read anew when it is rotated',
    }),
    alg: signingAlgorithm.default('RS256').meta({ description: 'the algorithm to sign with, which the key must fit' }),
    kid: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'the id of the key, where the one who verifies has several' }),
    claims: z.record(z.string().min(1), jsonValue).default({}).meta({
      description: 'claims, as they are: `iss`, `sub`, `aud`, `scope`; `iat`, `exp` and `jti` are made for each JWT',
    }),
    snowflake: snowflakeSettings
      .optional()
      .meta({ description: 'makes `iss` and `sub` of an account, a user and the fingerprint of the key' }),
    lifetimeMs: z.int().min(60_000).max(86_400_000).default(540_000).meta({
      description:
        'ms from `iat`, which lies 30 s in the past, to `exp`: GitHub takes 10 min at most, Google and Snowflake an hour',
    }),
  })
  .superRefine(({ claims, snowflake }, context) => {
    const taken = snowflake ? ['iss', 'sub'] : []
    for (const name of Object.keys(claims).filter((one) => OWN.includes(one) || taken.includes(one)))
      context.addIssue({
        code: 'custom',
        path: ['claims', name],
        message: `leave it out: ${name} is made for each JWT`,
      })
    if (!snowflake && Object.keys(claims).length === 0)
      context.addIssue({
        code: 'custom',
        path: ['claims'],
        message: 'say who signs, as in { iss: NAME }: without a claim it proves nothing',
      })
  })
  .meta({
    description:
      'a JWT that is signed here and is the credential itself: a GitHub App as such, a Google service account towards Google’s APIs, a key pair of Snowflake',
  })

type Settings = z.infer<typeof schema>

/** A bearer token that nobody else mints. */
export const signedJwt: SourceKind<typeof schema> = {
  schema,
  build(settings, tools) {
    const held = tools.secret(settings.key)
    return new MintedSupply({
      mint: () => mint(settings, tools),
      secretVersion: () => held.current().version,
      ...mintageOf(tools),
    })
  },
}

async function mint(settings: Settings, tools: SourceTools): Promise<Minted> {
  const { alg, kid, lifetimeMs, key: reference } = settings
  const behind = longLivedOf(reference, tools.secret(reference))
  const sentAt = { wall: tools.clock.now(), monotonic: tools.clock.monotonic() }
  const claims = claimsOf(settings, behind.secret)
  const { jwt, expiresAt } = await signJwt(behind.secret, {
    alg,
    header: { kid, typ: 'JWT' },
    claims,
    lifetimeMs,
    now: sentAt.wall,
  })
  return { secret: jwt, sentAt, lifetimeMs: expiresAt - sentAt.wall, behind }
}

function claimsOf({ claims, snowflake }: Settings, key: Secret): Readonly<Record<string, unknown>> {
  if (!snowflake) return claims
  try {
    return { ...claims, ...snowflakeClaims(snowflake, key) }
  } catch (error) {
    throw new Problem('credential-failed', { reason: `to sign with: ${error instanceof Error ? error.message : ''}` })
  }
}
