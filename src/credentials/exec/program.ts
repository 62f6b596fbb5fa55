import { accessSync, constants, statSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'

/**
 * The file that a command means: its absolute path, or the first of that name on PATH. Undefined where there is none that
 * may be run. A relative entry of PATH, as "" and "." are, is passed over: what it means depends on where we were started.
 */
export function findProgram(command: string, path: string | undefined): string | undefined {
  if (command.includes('/')) return isAbsolute(command) && isProgram(command) ? command : undefined
  const directories = (path ?? '').split(':').filter((directory) => isAbsolute(directory))
  return directories.map((directory) => join(directory, command)).find(isProgram)
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}
