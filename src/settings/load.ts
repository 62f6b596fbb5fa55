import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { crossFaults, crossWarnings } from './cross-checks.ts'
import { readDocument, type SettingsDocument } from './document.ts'
import { SettingsError, type SettingsFault } from './fault.ts'
import { type Settings, settingsSchema } from './schema.ts'
import { inWords } from './words.ts'

/** A settings file that has been found right in itself; what it refers to has not been opened. */
export interface Loaded {
  readonly file: string
  readonly settings: Settings
  readonly warnings: readonly string[]
  locate(fault: SettingsFault): string
}

const MAX_BYTES = 4 * 1024 * 1024

/**
 * Reads and checks a settings file.
 * @throws SettingsError with everything that is wrong
 */
export async function loadSettings(file: string): Promise<Loaded> {
  const document = readDocument(await textOf(file), file)
  if (document.faults.length > 0) throw new SettingsError(document.faults)
  const parsed = settingsSchema.safeParse(document.value ?? {}, { error: inWords, reportInput: false })
  if (!parsed.success) throw new SettingsError(located(parsed.error.issues.flatMap(faultsOf), document))
  const faults = crossFaults(parsed.data)
  if (faults.length > 0) throw new SettingsError(located(faults, document))
  const warnings = located(crossWarnings(parsed.data, Date.now()), document)
  return { file: resolve(file), settings: parsed.data, warnings, locate: document.locate }
}

async function textOf(file: string): Promise<string> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new SettingsError([`${file}:1:1 cannot be read (${error.code}): use the path of a settings file`])
  })
  if (bytes.length > MAX_BYTES)
    throw new SettingsError([`${file}:1:1 is larger than 4 MiB: this is not a settings file`])
  return bytes.toString('utf8').replace(/^\uFEFF/, '')
}

interface Issue {
  readonly code: string
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly keys?: readonly string[]
  readonly issues?: readonly Issue[]
}

function faultsOf(issue: Issue): SettingsFault[] {
  const { path, message, keys } = issue
  if (issue.code === 'unrecognized_keys' && keys) return keys.map((key) => ({ path, key, message }))
  if (issue.code === 'invalid_key') return [{ path, message: issue.issues?.[0]?.message ?? message }]
  return [{ path, message }]
}

/** In the order of the file, each once. */
function located(faults: readonly SettingsFault[], document: SettingsDocument): string[] {
  const lines = new Set(faults.map((fault) => document.locate(fault)))
  return [...lines].sort((one, other) => placeOf(one) - placeOf(other))
}

function placeOf(line: string): number {
  const [, row = '0', column = '0'] = /:(\d+):(\d+) /.exec(line) ?? []
  return Number(row) * 10_000 + Number(column)
}
