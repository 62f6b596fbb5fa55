import { misplaced, replaceOnce } from './placeholder-text.ts'

/** The media type of a form. */
export const FORM_TYPE = /^application\/x-www-form-urlencoded$/

/**
 * A form with the credential for the placeholder, in the one field of that name. Everything else stays as it was written.
 * @throws Problem `placeholder-misplaced` unless it is there, and nowhere else
 */
export function replaceInForm(text: string, name: string, placeholder: string, credential: string): string {
  const pairs = text.split('&')
  const [at, ...others] = pairs.flatMap((pair, index) => (decoded(pair.split('=', 1)[0] ?? '') === name ? [index] : []))
  if (at === undefined) throw misplaced('it is not in its place')
  if (others.length > 0) throw misplaced('its field is there more than once')
  if (decoded(text).split(placeholder).length > 2) throw misplaced('it is in other places, too')
  const pair = pairs[at] ?? ''
  // To servers that part fields at ";", too, it would be in one that the caller has named.
  if (pair.includes(';')) throw misplaced('its place can be read in two ways')
  const start = pair.indexOf('=') + 1
  if (start === 0) throw misplaced('it is not in its place')
  const value = replaceOnce(pair.slice(start), placeholder, encodeURIComponent(credential))
  return pairs.with(at, pair.slice(0, start) + value).join('&')
}

function decoded(text: string): string {
  // Part by part: one that is malformed must not hide what the others say.
  return text
    .replaceAll('+', ' ')
    .replace(/(?:%[0-9a-f]{2})+/gi, (part) => Buffer.from(part.replaceAll('%', ''), 'hex').toString())
}
