import type { Fields } from '../core/ask.ts'

/**
 * Fields that speak of one connection and never travel on. @see RFC 9110 section 7.6.1
 * `proxy-*` are for us; `http2-settings` belongs to h2c, which is never offered; `expect` is answered here.
 */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/**
 * The name to compare by: lower case, `_` as `-`, none at the end. CGI and WSGI servers cannot tell those apart, and some
 * trim (CVE-2024-45410).
 */
export function nameKey(name: string): string {
  const lower = name.toLowerCase()
  return lower.includes('_') ? lower.replaceAll('_', '-').replace(/-+$/, '') : lower
}

const NONE: readonly string[] = Object.freeze([])

/** All values of a field, by its exact name in any case. */
export function valuesOf(fields: Fields, name: string): readonly string[] {
  let values: string[] | undefined
  for (let at = 0; at < fields.length; at += 2) {
    const field = fields[at] ?? ''
    // Asked of every field of every request: the length says no for nearly all of them, and costs nothing.
    if (field.length !== name.length || field.toLowerCase() !== name) continue
    values ??= []
    values.push(fields[at + 1] ?? '')
  }
  return values ?? NONE
}

/**
 * A fresh list without hop-by-hop fields, without those that any `Connection` field names, and without whatever `drops`
 * says; the caller's spelling and order of the rest are kept. `drops` is asked with the `nameKey` of each.
 */
export function endToEnd(fields: Fields, drops: (key: string) => boolean): string[] {
  const named = connectionOptions(fields)
  const kept: string[] = []
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] ?? ''
    const key = nameKey(name)
    if (HOP_BY_HOP.has(key) || named?.has(key) || drops(key)) continue
    kept.push(name, fields[at + 1] ?? '')
  }
  return kept
}

/** What the `Connection` fields name, as `nameKey`s; undefined for the usual case of nothing worth a set. */
function connectionOptions(fields: Fields): Set<string> | undefined {
  let options: Set<string> | undefined
  for (const value of valuesOf(fields, 'connection')) {
    if (value === 'keep-alive' || value === 'close') continue
    options ??= new Set()
    for (const option of value.split(',')) options.add(nameKey(option.trim()))
  }
  return options
}
