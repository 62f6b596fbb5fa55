import { isUtf8 } from 'node:buffer'
import { hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { inWords } from '../forms/words.ts'
import { crossFaults, crossWarnings } from './cross-checks.ts'
import { readDocument } from './document.ts'
import { SettingsError, type SettingsFault } from './fault.ts'
import { withOperations } from './operations.ts'
import { expandPresets } from './presets/expand.ts'
import { type Settings, settingsSchema } from './schema.ts'

/** A settings file that has been found right in itself; what it refers to has not been opened. */
export interface Loaded {
  readonly file: string
  readonly settings: Settings
  readonly warnings: readonly string[]
  /** The first 12 hex digits of the SHA-256 of its text. */
  readonly digest: string
  /** When it was read; ms since the epoch. */
  readonly readAt: number
  /** Each as `file:line:col path: message`, in the order of the file. */
  locateAll(faults: readonly SettingsFault[]): string[]
}

const MAX_BYTES = 4 * 1024 * 1024

/**
 * Reads and checks a settings file.
 * @throws SettingsError with everything that is wrong
 */
export async function loadSettings(file: string): Promise<Loaded> {
  return parseSettings(await textOf(file), file)
}

/**
 * The same of a text. `file`: where it is from, or would be: relative paths in it start there, and messages name it.
 * @throws SettingsError with everything that is wrong
 */
export async function parseSettings(text: string, file: string): Promise<Loaded> {
  const document = readDocument(text, file)
  if (document.faults.length > 0) throw new SettingsError(document.faults)
  const { value, faults: unfilled, explain } = expandPresets(document.value ?? {})
  const parsed = settingsSchema.safeParse(value, { error: inWords, reportInput: false })
  const unfit = parsed.success ? [] : firstOfEach(parsed.error.issues.flatMap(faultsOf))
  if (!parsed.success || unfilled.length > 0)
    throw new SettingsError(document.locateAll([...unfilled, ...explain(unfit)]))
  const { settings, faults: unread } = await withOperations(parsed.data, dirname(resolve(file)))
  const faults = [...crossFaults(settings), ...unread]
  if (faults.length > 0) throw new SettingsError(document.locateAll(explain(faults)))
  const readAt = Date.now()
  const warnings = document.locateAll(crossWarnings(settings, readAt))
  const digest = hash('sha256', text).slice(0, 12)
  return { file: resolve(file), settings, warnings, digest, readAt, locateAll: document.locateAll }
}

async function textOf(file: string): Promise<string> {
  const bytes = await bytesOf(file)
  if (bytes.length > MAX_BYTES) {
    throw new SettingsError([`${file}:1:1 is larger than 4 MiB: use the path of a settings file`])
  }
  const text = bytes.toString('utf8').replace(/^\uFEFF/, '')
  if (!isUtf8(bytes)) throw new SettingsError([`${file}:${placeOfBadByte(text)} use UTF-8: this byte is not of it`])
  return text
}

/** One byte more than is let through at most, however long the file; a pipe will do, too. */
async function bytesOf(file: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of createReadStream(file, { end: MAX_BYTES })) chunks.push(chunk as Buffer /* no encoding */)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    throw new SettingsError([
      `${file}:1:1 ${REASONS.get(code) ?? `cannot be read (${code})`}: use the path of a settings file`,
    ])
  }
  return Buffer.concat(chunks)
}

const REASONS = new Map([
  ['ENOENT', 'does not exist'],
  ['EISDIR', 'is a directory'],
  ['EACCES', 'may not be read by the user of Sallyport'],
])

function placeOfBadByte(text: string): string {
  const before = text.slice(0, text.indexOf('\uFFFD')).split('\n')
  return `${before.length}:${(before.at(-1)?.length ?? 0) + 1}`
}

interface Issue {
  readonly code: string
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly keys?: readonly string[]
  readonly issues?: readonly Issue[]
  readonly errors?: readonly (readonly Issue[])[]
}

function faultsOf({ code, path, message, keys, issues, errors }: Issue): SettingsFault[] {
  const [meant, ...others] = code === 'invalid_union' ? (errors?.filter(fitsAtTheTop) ?? []) : []
  if (meant && others.length === 0)
    return meant.flatMap(faultsOf).map((fault) => ({ ...fault, path: [...path, ...fault.path] }))
  if (code === 'unrecognized_keys' && keys) return keys.map((key) => ({ path, key, message }))
  if (code === 'invalid_key') {
    return [{ path: path.slice(0, -1), key: String(path.at(-1)), message: issues?.[0]?.message ?? message }]
  }
  return [{ path, message }]
}

/** Of several forms, the one that was meant is wrong somewhere inside. */
function fitsAtTheTop(issues: readonly Issue[]): boolean {
  return issues.length > 0 && issues.every(({ path, code }) => path.length > 0 || code === 'unrecognized_keys')
}

/** One slip can break several checks of one value; the first says enough. */
function firstOfEach(faults: readonly SettingsFault[]): SettingsFault[] {
  const byPlace = new Map(faults.toReversed().map((fault) => [JSON.stringify([fault.path, fault.key]), fault]))
  return [...byPlace.values()]
}
