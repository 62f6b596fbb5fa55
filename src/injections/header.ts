import type { Kind } from '../forms/kind.ts'
import { z } from '../forms/zod.ts'
import { headerName, headerText, PLACE } from './header-name.ts'
import { headerValue } from './header-value.ts'
import type { Injection } from './injection.ts'

const schema = z
  .strictObject({
    kind: z.literal('header'),
    name: headerName.meta({ description: 'header name, sent in this spelling' }),
    template: headerText
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
      slots: [{ in: 'header', name, prefix }],
      inject: ({ fields, query }, { secret }) => ({
        fields: [...fields, name, headerValue(prefix + secret.reveal() + suffix)],
        query,
      }),
    }
  },
}
