import type { Fields } from '../core/ask.ts'
import { nameKey } from '../wire/fields.ts'

/**
 * The fields with all cookies in one Cookie field at the end, without those of a name and with `added`. Taken out is
 * whatever any server could read as that cookie: other case, percent-encoded, with what PHP makes `_` of, behind a `,`, a
 * blank, a quote or a backslash (which old parsers split at), or without a name (CVE-2023-23934).
 */
export function withCookie(fields: Fields, name: string, added?: string): string[] {
  const { cookies, others } = parted(fields)
  const wanted = cookieKey(name)
  const kept = cookies.filter((pair) => !pair.split(/[,\s"\\\x85]+/).some((part) => cookieKey(nameOf(part)) === wanted))
  if (added !== undefined) kept.push(added)
  return kept.length === 0 ? others : [...others, 'Cookie', kept.join('; ')]
}

/** The values of a cookie, by its exact name. */
export function cookiesOf(fields: Fields, name: string): string[] {
  return parted(fields).cookies.flatMap((pair) =>
    pair.startsWith(`${name}=`) ? [pair.slice(name.length + 1).replace(/^"(.*)"$/, '$1')] : [],
  )
}

/** A field that is called nearly `Cookie` is no cookie of anybody, and goes. */
function parted(fields: Fields): { readonly cookies: string[]; readonly others: string[] } {
  const cookies: string[] = []
  const others: string[] = []
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] ?? ''
    const value = fields[at + 1] ?? ''
    if (name.toLowerCase() === 'cookie') cookies.push(...value.split(';').map((pair) => pair.trim()))
    else if (nameKey(name) !== 'cookie') others.push(name, value)
  }
  return { cookies: cookies.filter((pair) => pair !== ''), others }
}

function nameOf(part: string): string {
  return part.replace(/^=+/, '').split('=', 1)[0] ?? ''
}

function cookieKey(name: string): string {
  return decoded(name)
    .toLowerCase()
    .replace(/[. +[\]]/g, '_')
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}
