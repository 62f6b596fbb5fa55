import type { Kind } from '../forms/kind.ts'
import { z } from '../forms/zod.ts'
import { headerValue } from './header-value.ts'
import type { Injection } from './injection.ts'

const PLACE = '{credential}'
/** Fields that frame or route the message: a credential in one of them would be a second request, or another host. */
const OWNED =
  /^(?:host|content-length|transfer-encoding|connection|upgrade|te|trailer|via|expect|keep-alive|proxy-.*)$/i

const schema = z
  .strictObject({
    kind: z.literal('header'),
    name: z
      .string()
      .regex(/^[A-Za-z0-9!#$%&'*+.^`|~-]+$/, 'use a header name such as "X-Api-Key"')
      .refine((name) => !OWNED.test(name), 'use another header: this one belongs to the connection itself')
      .meta({ description: 'header name, sent in this spelling' }),
    template: z
      .string()
      .regex(/^[ -~]*$/, 'use visible ASCII')
      .refine((template) => template.split(PLACE).length === 2, `use ${PLACE} exactly once, as in "Token ${PLACE}"`)
      .default(PLACE)
      .meta({ description: `value of the header; \`${PLACE}\` stands for the credential` }),
  })
  .meta({ description: 'a header of any name' })

/** A header of any name, with text around the credential where the API wants it. */
export const header: Kind<typeof schema, undefined, Injection> = {
  schema,
  build({ name, template }) {
    const [prefix = '', suffix = ''] = template.split(PLACE)
    return {
      slot: { in: 'header', name, prefix },
      inject: ({ fields, query }, { secret }) => ({
        fields: [...fields, name, headerValue(prefix + secret.reveal() + suffix)],
        query,
      }),
    }
  },
}
