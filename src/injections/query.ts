import type { Kind } from '../forms/kind.ts'
import { z } from '../forms/zod.ts'
import { headerValue } from './header-value.ts'
import type { Injection } from './injection.ts'

const schema = z
  .strictObject({
    kind: z.literal('query'),
    name: z
      .string()
      .regex(/^[A-Za-z0-9_.~-]+$/, 'use letters, digits, "-", ".", "_" and "~"')
      .meta({ description: 'name of the query parameter' }),
  })
  .meta({ description: 'a query parameter; prefer a header where the API takes one, because upstreams log URLs' })

/** A query parameter. Sallyport itself never logs a query. */
export const query: Kind<typeof schema, undefined, Injection> = {
  schema,
  build: ({ name }) => ({
    slots: [{ in: 'query', name }],
    inject: ({ fields, query: rest }, { secret }) => {
      const pair = `${name}=${encodeURIComponent(headerValue(secret.reveal()))}`
      return { fields, query: rest === '' ? `?${pair}` : `${rest}&${pair}` }
    },
  }),
}
