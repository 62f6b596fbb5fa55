import { dirname, resolve } from 'node:path'
import type { Loaded } from '../../settings/load.ts'
import type { Settings } from '../../settings/schema.ts'
import type { Site } from './site.ts'
import { inShell } from './words.ts'

/** The line that leads a shell to the sidecar, as the caller that is named, or else as the likeliest one. */
export function environmentLine({ loaded }: Pick<Site, 'loaded'>, caller = likeliest(loaded.settings)): string {
  const { callers } = loaded.settings
  const isOnly = Object.keys(callers).length === 1
  const chosen = caller === undefined || isOnly ? '' : ` --caller ${inShell(caller)}`
  return `eval "$(sallyport env --config ${inShell(loaded.file)}${chosen})"`
}

/** The same, after the line that takes the key from where the settings have it. */
export function keyLines({ loaded }: Pick<Site, 'loaded'>, caller = likeliest(loaded.settings)): string {
  const key = keyOf(loaded, caller)
  const line = environmentLine({ loaded }, caller)
  return key === undefined ? line : `export SALLYPORT_KEY=${key}; ${line}`
}

function likeliest({ callers }: Settings): string | undefined {
  const names = Object.keys(callers)
  return names.find((name) => callers[name]?.kind === 'api-key') ?? names[0]
}

/** As a shell reads it. A digest does not tell the key, so whoever has it has to write it there. */
function keyOf({ file: base, settings: { callers } }: Loaded, caller: string | undefined): string | undefined {
  const settings = caller === undefined ? undefined : callers[caller]
  if (settings?.kind !== 'api-key') return undefined
  const { file, env } = settings.key?.settings ?? {}
  if (typeof file === 'string') return `"$(cat ${inShell(resolve(dirname(base), file))})"`
  return typeof env === 'string' ? `"$${env}"` : 'KEY'
}
