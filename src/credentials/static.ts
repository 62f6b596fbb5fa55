import type { HeldSecret } from '../core/secret.ts'
import { z } from '../forms/zod.ts'
import { longLivedOf, type SecretReference } from '../secrets/reference.ts'
import { secretReference } from '../secrets/registry.ts'
import type { Credential } from './credential.ts'
import type { SourceKind } from './tools.ts'

const schema = z
  .strictObject({
    kind: z.literal('static'),
    secret: secretReference.meta({ description: 'the secret itself, by reference; read anew when it is rotated' }),
    user: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'the user name that goes with it, for `inject: { kind: basic }`' }),
  })
  .meta({ description: 'one long-lived secret, injected as it is' })

/** A long-lived secret, as it stands at each ask. */
export const staticSecret: SourceKind<typeof schema> = {
  schema,
  build({ secret, user }, tools) {
    const held = tools.secret(secret)
    let latest = credentialOf(secret, held, user)
    function current(): Credential {
      // One object for all the asks between two rotations.
      if (latest.generation !== held.current().version) latest = credentialOf(secret, held, user)
      return latest
    }
    return {
      obtain: current,
      rejected: async ({ generation }) => (current().generation > generation ? current() : undefined),
      state: () => ({ phase: 'held' }),
    }
  },
}

function credentialOf(reference: SecretReference, held: HeldSecret, user: string | undefined): Credential {
  const { secret, version } = held.current()
  const behind = longLivedOf(reference, held)
  return { secret, version: `secret ${version}`, generation: version, behind, ...(user !== undefined && { user }) }
}
