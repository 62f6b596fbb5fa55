import { dirname, resolve } from 'node:path'
import { inShell } from '../forms/in-shell.ts'
import type { Loaded } from '../settings/load.ts'

/** Holds a caller's key in a shell that evaluates what `sallyport env` prints. */
export const KEY_VARIABLE = 'SALLYPORT_KEY'

/** A caller's key from where the settings have it, as a shell reads it; undefined for a caller that shows none. */
export function keyInShell({ file: base, settings: { callers } }: Loaded, caller: string): string | undefined {
  const settings = Object.hasOwn(callers, caller) ? callers[caller] : undefined
  if (settings?.kind !== 'api-key') return undefined
  const { file, env } = settings.key?.settings ?? {}
  if (typeof file === 'string') return `"$(cat ${inShell(resolve(dirname(base), file))})"`
  // A digest does not tell the key, so whoever has it has to write it there.
  return typeof env === 'string' ? `"$${env}"` : 'KEY'
}

/** The line that puts it there. */
export function keyLine(loaded: Loaded, caller: string): string | undefined {
  const key = keyInShell(loaded, caller)
  return key === undefined ? undefined : `export ${KEY_VARIABLE}=${key}`
}
