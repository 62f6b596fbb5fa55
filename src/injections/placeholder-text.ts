import type { Fields } from '../core/ask.ts'
import { Problem } from '../core/problem.ts'
import { nameKey, valuesOf } from '../wire/fields.ts'

/**
 * The text with the credential where the placeholder was.
 * @throws Problem `placeholder-misplaced` unless it was there exactly once
 */
export function replaceOnce(text: string, placeholder: string, credential: string): string {
  const [before = '', after, ...more] = text.split(placeholder)
  if (after === undefined) throw misplaced('it is not in its place')
  if (more.length > 0) throw misplaced('it is in its place more than once')
  return before + credential + after
}

/** The refusal of a request whose placeholder is not where it belongs; `reason` is for the record. */
export function misplaced(reason: string): Problem {
  return new Problem('placeholder-misplaced', { reason })
}

/**
 * What a head says of its body.
 * @throws Problem `placeholder-misplaced` when it is of another type, or packed so that nobody sees what is in it
 */
export function judgeBodyType(fields: Fields, type: RegExp): void {
  // Behind a gateway of CGI or WSGI, a look-alike may be the one that counts.
  const isDisguised = (name: string) => name.includes('_') && TELLING.has(nameKey(name))
  if (fields.some((name, at) => at % 2 === 0 && isDisguised(name)))
    throw misplaced('the body is of a type that can be read in two ways')
  const [found = '', ...others] = valuesOf(fields, 'content-type')
  const [essence = '', ...parameters] = found.split(';').map((part) => part.trim().toLowerCase())
  if (others.length > 0 || !type.test(essence)) throw misplaced('the body is of another type')
  // Also "charset =" and "charset*=", which some servers read.
  if (parameters.some((each) => each.includes('charset') && !/^charset="?utf-8"?$/.test(each)))
    throw misplaced('the body is in another character set than UTF-8')
  if (valuesOf(fields, 'content-encoding').some((coding) => coding.trim().toLowerCase() !== 'identity'))
    throw misplaced('the body is compressed')
}

const TELLING = new Set(['content-type', 'content-encoding'])

/** The text of a body, all of it valid UTF-8. @throws Problem `placeholder-misplaced` */
export function textOfBody(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
  } catch {
    throw misplaced('the body is not UTF-8')
  }
}
