import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { onTestFinished } from 'vitest'
import { SettingsError } from '../../src/settings/fault.ts'
import { loadSettings } from '../../src/settings/load.ts'

/** A door, so that what is tested is all that can be wrong: lines 1 and 2. */
export const DOOR = 'listeners:\n  - { kind: forward, listen: 127.0.0.1:0 }\n'

/** A folder for one test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-settings-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A settings file for one test, `s.yaml` in a folder of its own. */
export async function settingsFile(text: string | Uint8Array): Promise<string> {
  const file = join(await temporaryFolder(), 's.yaml')
  await writeFile(file, text)
  return file
}

/** What is wrong with settings of that text, each line as if the file were `s.yaml`; empty: nothing. */
export async function faultsOf(text: string | Uint8Array): Promise<readonly string[]> {
  const file = await settingsFile(text)
  return withShortNames(file, await refusalOf(loadSettings(file)))
}

/** The lines of a SettingsError, and nothing else, that a promise is rejected with; empty: it is not. */
export async function refusalOf(opening: Promise<unknown>): Promise<readonly string[]> {
  return opening.then(
    () => [],
    (error: unknown) => {
      if (error instanceof SettingsError) return error.lines
      throw error
    },
  )
}

function withShortNames(file: string, lines: readonly string[]): string[] {
  return lines.map((line) => line.replace(file, basename(file)))
}
