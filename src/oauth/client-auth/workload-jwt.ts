import { decodeJwt, decodeProtectedHeader } from 'jose'
import type { Clock } from '../../core/clock.ts'
import type { Secret } from '../../core/secret.ts'
import { z } from '../../forms/zod.ts'
import { longLivedOf } from '../../secrets/reference.ts'
import { unfitProof } from '../refusal.ts'
import { showAssertion, workloadToken } from './assertion.ts'
import type { ClientAuthKind } from './client-auth.ts'

const schema = z
  .strictObject({
    kind: z.literal('workload-jwt'),
    token: workloadToken.meta({
      description: 'the file of the token, as Kubernetes or SPIFFE keeps writing it; what stands there now is shown',
    }),
  })
  .meta({
    description: 'a JWT that the platform gives this workload, as the assertion: there is no long-lived secret at all',
  })

/** @see RFC 7523 section 2.2 */
export const workloadJwt: ClientAuthKind<typeof schema> = {
  schema,
  showsSecret: false,
  build({ token }, { secret, clock }) {
    const held = secret(token)
    return {
      presentations() {
        const behind = longLivedOf(token, held)
        const assertion = assertionIn(behind.secret, clock)
        return [{ authenticate: (_server, { client_id: id }, to) => showAssertion(to, id, assertion), behind }]
      },
      version: () => held.current().version,
    }
  },
}

/**
 * What the file holds, if a server could take it. Nothing is verified: that is the server's part.
 * @throws Problem `credential-failed`, which lasts until the file is another
 */
function assertionIn(secret: Secret, clock: Clock): string {
  const jwt = secret.reveal()
  const exp = expiryIn(jwt)
  if (exp === undefined)
    throw unfitProof('the file of the workload token holds no signed JWT: mount a projected token or a JWT-SVID there')
  if (exp * 1000 > clock.now()) return jwt
  const at = new Date(exp * 1000).toISOString()
  throw unfitProof(`the workload token has expired at ${at}: see that the platform still writes the file anew`)
}

/** Seconds since the epoch; never, where it does not say. Undefined: no JWT, or one that nobody has signed. */
function expiryIn(jwt: string): number | undefined {
  try {
    const { alg } = decodeProtectedHeader(jwt)
    const { exp = NEVER_S } = decodeJwt(jwt)
    const isSigned = alg !== 'none' && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(jwt)
    return isSigned && typeof exp === 'number' && exp <= NEVER_S ? exp : undefined
  } catch {
    return undefined
  }
}

/** The last second of which a Date can be made. */
const NEVER_S = 8.64e12
