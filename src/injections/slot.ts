import type { Fields } from '../core/ask.ts'
import { nameKey, valuesOf } from '../wire/fields.ts'
import { cookiesOf, withCookie } from './cookie-pairs.ts'
import type { Injected, Injection, Slot } from './injection.ts'

/** Takes every parameter of a name out of a query, in any of the spellings that decode to it. */
export function withoutParameter(query: string, name: string): string {
  if (query === '') return query
  const kept = query
    .slice(1)
    .split('&')
    .filter((pair) => decoded(pair.split('=', 1)[0] ?? '') !== name)
  return kept.length === 0 ? '' : `?${kept.join('&')}`
}

/** What stands in a slot now: the text an app put where the upstream's own key would go. */
export function textInSlot(slot: Slot, fields: Fields, query: string): string[] {
  if (slot.in === 'query') return parametersOf(query, slot.name)
  if (slot.in === 'cookie') return cookiesOf(fields, slot.name)
  return valuesOf(fields, slot.name.toLowerCase()).flatMap((value) =>
    value.toLowerCase().startsWith(slot.prefix.toLowerCase()) ? [value.slice(slot.prefix.length)] : [],
  )
}

const known = new WeakMap<Injection, readonly string[]>()

/** Tells by `nameKey` whether a header stands in a slot. */
export function slotsHold(injection: Injection): (key: string) => boolean {
  // Asked for every request, and the same for all of them.
  const owned = known.get(injection) ?? ownedHeaders(injection)
  known.set(injection, owned)
  return (key) => owned.includes(key)
}

function ownedHeaders({ slots }: Injection): readonly string[] {
  return slots.flatMap((slot) => (slot.in === 'header' ? [nameKey(slot.name)] : []))
}

/** A request without what a caller put into slots that are less than a header. */
export function emptied({ slots }: Injection, request: Injected): Injected {
  let rest = request
  for (const { in: place, name } of slots) {
    if (place === 'query') rest = { fields: rest.fields, query: withoutParameter(rest.query, name) }
    else if (place === 'cookie') rest = { fields: withCookie(rest.fields, name), query: rest.query }
  }
  return rest
}

function parametersOf(query: string, name: string): string[] {
  return query
    .slice(1)
    .split('&')
    .filter((pair) => decoded(pair.split('=', 1)[0] ?? '') === name)
    .map((pair) => decoded(pair.slice(pair.indexOf('=') + 1)))
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}
