import type { Ceiling } from '../core/ceiling.ts'
import { type CallerSettings, settingsOfCaller } from './registry.ts'
import { compileScopes } from './token-scopes.ts'

/** How far a proof of that name reaches that has these scopes, without the proof; undefined: as far as its grants. */
export function ceilingOf(
  name: string,
  scopes: readonly string[],
  callers: Readonly<Record<string, CallerSettings>>,
): Ceiling | undefined {
  const settings = settingsOfCaller(name, callers)
  return settings && 'scopes' in settings && settings.scopes ? compileScopes(settings.scopes)(scopes) : undefined
}
