import type { Fields } from '../core/ask.ts'
import { nameKey, valuesOf } from '../wire/fields.ts'
import type { Slot } from './injection.ts'

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
  return valuesOf(fields, slot.name.toLowerCase()).flatMap((value) =>
    value.toLowerCase().startsWith(slot.prefix.toLowerCase()) ? [value.slice(slot.prefix.length)] : [],
  )
}

/** Tells by `nameKey` whether a header stands in the slot. */
export function slotHolds(slot: Slot | undefined): (key: string) => boolean {
  const owned = slot?.in === 'header' ? nameKey(slot.name) : undefined
  return (key) => key === owned
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
