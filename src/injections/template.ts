import type { Kind } from '../forms/kind.ts'
import { z } from '../forms/zod.ts'
import { nameKey } from '../wire/fields.ts'
import { headerName, headerText, PLACE } from './header-name.ts'
import { headerValue } from './header-value.ts'
import type { Injection, Slot } from './injection.ts'

const MAX_HEADERS = 16

const text = headerText
  .min(1, 'use a text')
  .refine((template) => !template.includes(`$${PLACE}`), `use ${PLACE}, without a "$"`)
  .refine((template) => template.split(PLACE).length <= 2, `use ${PLACE} once at most in each header`)

const schema = z
  .strictObject({
    kind: z.literal('template'),
    headers: z
      .record(headerName, text)
      .superRefine((headers, context) => {
        const wrong = faultOf(headers)
        if (wrong !== undefined) context.addIssue({ code: 'custom', message: wrong })
      })
      .meta({ description: `values by header name; \`${PLACE}\` stands for the credential, and at least one has it` }),
  })
  .meta({ description: 'several headers of one credential' })

function faultOf(headers: Readonly<Record<string, string>>): string | undefined {
  const names = Object.keys(headers)
  if (names.length > MAX_HEADERS) return `use at most ${MAX_HEADERS} headers`
  if (new Set(names.map(nameKey)).size < names.length) return 'name each header once: case does not tell them apart'
  if (Object.values(headers).some((template) => template.includes(PLACE))) return undefined
  return `use ${PLACE} in at least one header, as in "Token ${PLACE}"`
}

/** Every one of the headers is ours, also those that have a fixed text. */
export const template: Kind<typeof schema, undefined, Injection> = {
  schema,
  build({ headers }) {
    const parts = Object.entries(headers).map(([name, value]) => ({ name, around: value.split(PLACE) }))
    return {
      slots: parts.map(({ name, around }) => slotOf(name, around)),
      inject: ({ fields, query }, { secret }) => {
        const credential = headerValue(secret.reveal())
        const own = parts.flatMap(({ name, around }) => [name, headerValue(around.join(credential))])
        return { fields: [...fields, ...own], query }
      },
    }
  },
}

/** One whose text is fixed holds nothing that an app could put a key in place of. */
function slotOf(name: string, [prefix = '', ...rest]: readonly string[]): Slot {
  return rest.length === 0 ? { in: 'header', name, prefix: '', keyless: true } : { in: 'header', name, prefix }
}
