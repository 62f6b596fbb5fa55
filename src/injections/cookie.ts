import { Problem } from '../core/problem.ts'
import type { Kind } from '../forms/kind.ts'
import { z } from '../forms/zod.ts'
import { withCookie } from './cookie-pairs.ts'
import type { Injection } from './injection.ts'

const schema = z
  .strictObject({
    kind: z.literal('cookie'),
    name: z
      .string()
      .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'use a cookie name such as "session"')
      .meta({ description: 'name of the cookie' }),
  })
  .meta({ description: 'one cookie; those of the caller that are called otherwise go along' })

/** @see RFC 6265 section 4.2 */
export const cookie: Kind<typeof schema, undefined, Injection> = {
  schema,
  build: ({ name }) => ({
    // A cookie jar brings back what the upstream has set: that is nobody's key.
    slots: [{ in: 'cookie', name, keyless: true }],
    inject: ({ fields, query }, { secret }) => ({
      fields: withCookie(fields, name, `${name}=${cookieValue(secret.reveal())}`),
      query,
    }),
  }),
}

/** RFC 6265 section 4.1.1: no blank, quote, comma, semicolon or backslash. */
function cookieValue(value: string): string {
  if (/^[!#-+\--:<-[\]-~]+$/.test(value)) return value
  throw new Problem('credential-failed', {
    reason: 'the credential has a byte that no cookie may have, or is empty',
  })
}
