import { SettingsError } from '../settings/fault.ts'
import { EXIT } from './exit-codes.ts'

/** Runs a verb; what stops it before it began is said in lines for people, and is exit 2. */
export async function orSettingsExit<T>(run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run()
  } catch (error) {
    const lines =
      error instanceof SettingsError ? error.lines : [error instanceof Error ? error.message : String(error)]
    process.stderr.write(`${lines.join('\n')}\n`)
    process.exitCode = EXIT.settings
    return undefined
  }
}
