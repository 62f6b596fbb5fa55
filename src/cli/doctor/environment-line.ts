import { inShell } from '../../forms/in-shell.ts'
import type { Settings } from '../../settings/schema.ts'
import { keyLine } from '../key-line.ts'
import type { Site } from './site.ts'

/**
 * The line that leads a shell to the sidecar, as the caller that is named, or else as the likeliest one; with the key from
 * where the settings have it.
 */
export function environmentLine({ loaded }: Pick<Site, 'loaded'>, caller = likeliest(loaded.settings)): string {
  const isOnly = Object.keys(loaded.settings.callers).length === 1
  const chosen = caller === undefined || isOnly ? '' : ` --caller ${inShell(caller)}`
  const line = `eval "$(sallyport env --config ${inShell(loaded.file)}${chosen})"`
  const key = caller === undefined ? undefined : keyLine(loaded, caller)
  return key === undefined ? line : `${key}; ${line}`
}

function likeliest({ callers }: Settings): string | undefined {
  const names = Object.keys(callers)
  return names.find((name) => callers[name]?.kind === 'api-key') ?? names[0]
}
