import type { Kind } from '../forms/kind.ts'
import { z } from '../forms/zod.ts'
import { nameKey } from '../wire/fields.ts'
import { headerName } from './header-name.ts'
import { headerValue } from './header-value.ts'
import type { BodyInjection, Injection, Outgoing, Slot } from './injection.ts'
import { FORM_TYPE, replaceInForm } from './placeholder-form.ts'
import { JSON_TYPE, replaceInJson } from './placeholder-json.ts'
import { judgeBodyType, misplaced, replaceOnce, textOfBody } from './placeholder-text.ts'

const MIB = 1_048_576

const fieldName = z.string().min(1, 'use the name of a field').max(256)
const place = z.union(
  [
    z.strictObject({ header: headerName.meta({ description: 'name of a header' }) }),
    z.strictObject({ query: fieldName.meta({ description: 'name of a query parameter' }) }),
    z.strictObject({
      json: z
        .string()
        .regex(/^(?:\/(?:[^~/]|~[01])*)*$/, 'use a JSON pointer such as "/auth/token" (RFC 6901)')
        .meta({ description: 'JSON pointer (RFC 6901) to a string of the body, as `/auth/token`' }),
    }),
    z.strictObject({
      form: fieldName.meta({ description: 'name of a field of a form (`application/x-www-form-urlencoded`)' }),
    }),
  ],
  { error: 'use one of { header: NAME }, { query: NAME }, { json: POINTER } and { form: NAME }' },
)

const schema = z
  .strictObject({
    kind: z.literal('placeholder'),
    placeholder: z
      .string()
      .regex(
        /^[A-Za-z0-9_.~-]{8,256}$/,
        'use 8 letters, digits, "-", ".", "_" or "~" at least, as in "held-by-sallyport"',
      )
      .meta({ description: 'the text that the app sends instead; worthless' }),
    in: place.meta({
      description:
        'the one place where it is replaced: a header, a query parameter, a string of a JSON body, a field of a form',
    }),
    maxBodyBytes: z
      .int()
      .min(1)
      .max(16 * MIB)
      .default(MIB)
      .meta({ description: 'for a place in the body, which is then held whole: bytes that it may have' }),
  })
  .meta({
    description:
      'what the app sends as a placeholder becomes the credential, in one named place; a request without it there, or with it anywhere else that is looked at, is refused',
  })

type Settings = z.infer<typeof schema>

/** Replaces what the app sends in the credential's stead. A body is read only where it is the place. */
export const placeholder: Kind<typeof schema, undefined, Injection> = {
  schema,
  build(settings) {
    const { in: where } = settings
    if ('header' in where) return inHead(settings, { in: 'header', name: where.header, prefix: '', keyless: true })
    if ('query' in where) return inHead(settings, { in: 'query', name: where.query, keyless: true })
    return inBody(settings)
  },
}

/** The slot has been emptied as any other; what was in it is where the credential goes. */
function inHead({ placeholder: text }: Settings, slot: Slot): Injection {
  return {
    slots: [slot],
    inject(outgoing, { secret }) {
      const credential = headerValue(secret.reveal())
      const [found = '', ...others] = outgoing.found(slot)
      if (others.length > 0) throw misplaced('its place is there more than once')
      const value = replaceOnce(found, text, credential)
      const { fields, query } = withoutTrace(outgoing, text)
      if (slot.in === 'header') return { fields: [...fields, slot.name, value], query }
      const pair = `${encodeURIComponent(slot.name)}=${encodeURIComponent(value)}`
      return { fields, query: query === '' ? `?${pair}` : `${query}&${pair}` }
    },
  }
}

/** They speak of the body as the caller sent it. */
const DIGESTS = new Set(['content-digest', 'repr-digest', 'digest', 'content-md5'])

function inBody(settings: Settings): Injection {
  return {
    slots: [],
    body: bodyOf(settings),
    inject(outgoing) {
      const { fields, query } = withoutTrace(outgoing, settings.placeholder)
      return { fields: fields.filter((_, at) => !DIGESTS.has(nameKey(fields[at - (at % 2)] ?? ''))), query }
    },
  }
}

function bodyOf({ in: where, placeholder: text, maxBodyBytes: maxBytes }: Settings): BodyInjection {
  const isForm = 'form' in where
  const fill = (body: string, credential: string) => {
    if (isForm) return replaceInForm(body, where.form, text, credential)
    return replaceInJson(body, 'json' in where ? where.json : '', text, credential)
  }
  return {
    maxBytes,
    judgeHead: (fields) => judgeBodyType(fields, isForm ? FORM_TYPE : JSON_TYPE),
    judge: (body) => void fill(textOfBody(body), text),
    fill: (body, { secret }) => Buffer.from(fill(textOfBody(body), headerValue(secret.reveal()))),
  }
}

/** @throws Problem `placeholder-misplaced` when it is somewhere else in the head */
function withoutTrace(outgoing: Outgoing, text: string): Outgoing {
  const { url, fields, query } = outgoing
  if (url.includes(text) || query.includes(text) || fields.some((part) => part.includes(text)))
    throw misplaced('it is in another place of the head')
  return outgoing
}
