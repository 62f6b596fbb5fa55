import type { Credential } from '../credentials/credential.ts'
import { valuesOf } from '../wire/fields.ts'

/**
 * Told of the head of each answer. True: the upstream has refused the proof alone, for want of the nonce that it sends
 * along; the token is as good as before, and the next proof has that nonce.
 */
export type NonceWatch = (status: number, fields: readonly string[]) => boolean

/**
 * Keeps the nonces that an upstream sends, for the proofs to come. Made before the proof is. Undefined where the credential is bound to no key.
 * @see RFC 9449 sections 8.2 and 9
 */
export function watchNonces({ boundTo }: Pick<Credential, 'boundTo'>, origin: string): NonceWatch | undefined {
  if (!boundTo) return undefined
  const sent = boundTo.nonceFor(origin)
  return (status, fields) => {
    const nonces = valuesOf(fields, 'dpop-nonce')
    if (nonces.length === 1) boundTo.learn(origin, nonces[0])
    // One that asks for what it was just given is not to be asked again.
    const isFresh = nonces.length === 1 && nonces[0] !== sent && nonces[0] === boundTo.nonceFor(origin)
    return status === 401 && isFresh && valuesOf(fields, 'www-authenticate').some(isDemand)
  }
}

function isDemand(challenge: string): boolean {
  return /(?:^|[\s,])DPoP\s/i.test(challenge) && /\buse_dpop_nonce\b/.test(challenge)
}
