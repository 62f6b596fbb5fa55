import { checkPath } from '../forms/rule.ts'
import { z } from '../forms/zod.ts'

/**
 * What goes over the admin API, by the names of the OpenAPI document. A registry of its own: settings have a `Grant` and a
 * `Rule` too.
 */
export const shapes = z.registry<{ id: string }>()

/** Gives a shape its name in the document. */
export function named<S extends z.ZodType>(id: string, shape: S): S {
  shapes.add(shape, { id })
  return shape
}

/** A list, a part at a time. */
export function listOf<S extends z.ZodType>(id: string, item: S) {
  return named(
    id,
    z.strictObject({
      items: z.array(item),
      cursor: z.string().optional().meta({ description: 'where the next part begins; absent at the end' }),
    }),
  )
}

/** How much of a list, and from where on. Numbers of a query come as text. */
export const paging = {
  limit: z.coerce.number().int().min(1).max(1000).default(100).meta({ description: 'items at most' }),
  cursor: z.string().max(1024).optional().meta({ description: 'the `cursor` of the part before' }),
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$/
const NAME_FORM = 'use a name of letters, digits, ".", "_", "@" and "-", 128 at most'

/** A name that an operator makes up, for a caller or a secret. */
export const newName = z.string().regex(NAME, NAME_FORM)

/** The name of something that is in the settings. */
export const settingsName = z.string().regex(NAME, NAME_FORM)

/** Text that people write and read: one line, without controls, and without what turns the direction of writing. */
function line(max: number) {
  return z.string().regex(new RegExp(`^[^\\p{C}\\p{Zl}\\p{Zp}]{1,${max}}$`, 'u'), {
    error: `use one line of text, without control characters, ${max} characters at most`,
  })
}

/** A caller as it proves itself: templates make names with "/" too. */
export const callerName = line(256).meta({ description: 'name of a caller' })
/** A group as a proof has it. */
export const groupName = line(256).meta({ description: 'name of a group: every caller whose proof has it' })
export const reason = line(500)

/** ISO 8601, with the offset that it is to be read in. */
export const instant = z.iso.datetime({
  offset: true,
  error: 'use a time with an offset, such as 2027-06-30T00:00:00Z or 2027-06-30T02:00:00+02:00',
})

/** A time of the API, of ms since the epoch. */
export function iso(ms: number): string {
  return new Date(ms).toISOString()
}

const pathPattern = z.string().max(1024).superRefine(checkPath)

const MOST = 100

/** As in the settings: both methods and paths must fit. */
export const rule = named(
  'Rule',
  z.strictObject({
    methods: z
      .array(z.string().regex(/^[A-Z][A-Z-]{0,63}$/, 'use the method as it is sent, as in "GET"'))
      .min(1, 'name at least one method, or leave methods out for all')
      .max(MOST)
      .optional()
      .meta({ description: 'methods, compared exactly; absent: any' }),
    paths: z
      .array(pathPattern)
      .min(1, 'name at least one path, or leave paths out for all')
      .max(MOST)
      .optional()
      .meta({ description: 'paths as sent upstream; `*` is one segment or part of one, `**` any number; absent: any' }),
  }),
)

export const rules = z.array(rule).min(1, 'name at least one rule, or leave rules out for all').max(MOST)

/** RFC 9457, with a stable code for programs. */
export const problem = named(
  'Problem',
  z.strictObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().meta({ description: 'what to do about it' }),
    code: z.string().meta({ description: 'stable, for programs' }),
    instance: z.string().meta({ description: 'the id under which audit and log have the rest' }),
    errors: z
      .array(
        z.strictObject({
          pointer: z.string().meta({ description: '`#/rules/0/paths/0`, or the name of a parameter' }),
          detail: z.string().meta({ description: 'what is wrong, and the form to use' }),
        }),
      )
      .optional()
      .meta({ description: 'all that is wrong with the request, one a field' }),
  }),
)
