import { Problem } from '../core/problem.ts'
import type { Kind } from '../forms/kind.ts'
import { z } from '../forms/zod.ts'
import { headerValue } from './header-value.ts'
import type { Injection } from './injection.ts'

const schema = z.strictObject({ kind: z.literal('dpop') }).meta({
  description:
    '`Authorization: DPoP CREDENTIAL` and a proof of possession for each request (RFC 9449), for a source with `dpop`',
})

/** A token that is worth nothing without the proof, and a proof that is good for one request. @see RFC 9449 section 7 */
export const dpop: Kind<typeof schema, undefined, Injection> = {
  schema,
  build: () => ({
    slots: [
      { in: 'header', name: 'Authorization', prefix: 'DPoP ' },
      { in: 'header', name: 'DPoP', prefix: '', keyless: true },
    ],
    inject({ fields, query, method, url }, { secret, boundTo }) {
      if (!boundTo)
        throw new Problem('credential-failed', { reason: 'the credential is bound to no key: its source says no dpop' })
      const authorization = headerValue(`DPoP ${secret.reveal()}`)
      const proof = boundTo.prove({ method, url, token: secret })
      return { fields: [...fields, 'Authorization', authorization, 'DPoP', proof], query }
    },
  }),
}
