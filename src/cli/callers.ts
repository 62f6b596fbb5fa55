import type { Settings } from '../settings/schema.ts'

/**
 * The caller that a verb speaks for: the one that was named, or the only one there is.
 * @throws Error in words
 */
export function callerNamed({ callers }: Settings, wanted: string | undefined): string {
  const names = Object.keys(callers)
  const [only, ...others] = names
  if (only === undefined) throw new Error('the settings name no caller: add one to "callers", and a grant for it')
  if (wanted === undefined && others.length === 0) return only
  if (wanted !== undefined && Object.hasOwn(callers, wanted)) return wanted
  const asked = wanted === undefined ? '' : `there is no caller ${JSON.stringify(wanted)}: `
  throw new Error(`${asked}use --caller with one of ${names.join(', ')}`)
}

/** What the connections that this caller was granted would have in its environment. The first one to name a variable has it. */
export function placeholdersOf({ connections, grants }: Settings, caller: string): Record<string, string> {
  const granted = new Set(grants.filter((grant) => grant.caller === caller).map(({ connection }) => connection))
  const all = Object.entries(connections).filter(([name]) => granted.has(name))
  return Object.assign({}, ...all.toReversed().map(([, { placeholders }]) => placeholders))
}
