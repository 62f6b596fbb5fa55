import type { Purpose } from '../core/purpose.ts'
import type { Secret } from '../core/secret.ts'
import { z } from '../forms/zod.ts'
import type { Credential, Supply } from './credential.ts'
import { callersToken, nobody } from './exchange/subject.ts'
import { expiryOf } from './expiry-of.ts'
import { KeyedSupply } from './keyed.ts'
import type { SourceKind } from './tools.ts'

const schema = z
  .strictObject({
    kind: z.literal('passthrough-obo'),
    audience: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).meta({
      description:
        'names of the upstream, or of clients: one has to be in `aud` of the token, or be its `azp`. A token that was meant for nobody but Sallyport goes no further',
    }),
  })
  .meta({
    description:
      'the caller’s own token as it is, for an upstream that trusts the same issuer, and that the token was meant for as well. Where it was not, use `token-exchange`',
  })

/** The caller's own token, on to where it was meant for. */
export const passthroughObo: SourceKind<typeof schema> = {
  schema,
  needs: () => ({ callersToken: true }),
  build({ audience }, { clock }) {
    const allowed = new Set([audience].flat())
    let generation = 0
    return new KeyedSupply({
      keyOf(purpose) {
        const token = meantFor(allowed, purpose)
        const expiresAt = expiryOf(token)
        // Callers are known for a while longer, by the slack that clocks are allowed.
        if (expiresAt === undefined || expiresAt <= clock.now())
          throw nobody(`the token of ${purpose.caller.name} has expired, or never does`)
        return token.digest().toString('base64url')
      },
      supplyFor: () => one(++generation),
    })
  },
}

/** @throws Problem `identity-missing` */
function meantFor(allowed: ReadonlySet<string>, purpose: Purpose): Secret {
  const secret = callersToken(purpose)
  const claims = purpose.caller.token?.claims
  const names = [claims?.get('aud'), claims?.get('azp')].flat()
  if (names.some((name) => typeof name === 'string' && allowed.has(name))) return secret
  throw nobody(`the token of ${purpose.caller.name} is not meant for the upstream: neither aud nor azp is its audience`)
}

/** Of one token: there is no other in its place. */
function one(generation: number): Supply {
  let credential: Credential | undefined
  return {
    obtain(purpose) {
      credential ??= purpose && credentialOf(callersToken(purpose), generation)
      return credential
    },
    rejected: async ({ secret }) => (credential?.secret.equals(secret) ? undefined : credential),
    state: () => ({ phase: 'held', ...(credential?.expiresAt !== undefined && { expiresAt: credential.expiresAt }) }),
  }
}

function credentialOf(secret: Secret, generation: number): Credential {
  const expiresAt = expiryOf(secret)
  const lineage = { subject: { name: 'caller', secret, storedVersion: undefined } }
  return { secret, generation, version: `token ${generation}`, lineage, ...(expiresAt !== undefined && { expiresAt }) }
}
