import { isUtf8 } from 'node:buffer'
import { hash } from 'node:crypto'
import { dirname, resolve } from 'node:path'
import { inWords } from '../forms/words.ts'
import { crossFaults, crossWarnings } from './cross-checks.ts'
import { readDocument } from './document.ts'
import { SettingsError, type SettingsFault } from './fault.ts'
import { withOperations } from './operations.ts'
import { expandPresets } from './presets/expand.ts'
import { type Settings, settingsSchema } from './schema.ts'
import { bytesOf, isOpenToAll, steadyBytesOf } from './settings-file.ts'

/** A settings file that has been found right in itself; what it refers to has not been opened. */
export interface Loaded {
  readonly file: string
  readonly settings: Settings
  readonly warnings: readonly string[]
  /** Which settings they are; see `digestOf`. */
  readonly digest: string
  /** The API descriptions that it goes by, and that everybody may write to. */
  readonly openToAll: readonly string[]
  /** When it was read; ms since the epoch. */
  readonly readAt: number
  /** Each as `file:line:col path: message`, in the order of the file. */
  locateAll(faults: readonly SettingsFault[]): string[]
}

/**
 * Reads and checks a settings file.
 * @throws SettingsError with everything that is wrong
 */
export async function loadSettings(file: string): Promise<Loaded> {
  const loaded = await parseSettings(textOf(await bytesOf(file), file), file)
  const open = [...((await isOpenToAll(file)) ? ['it'] : []), ...loaded.openToAll]
  const unfit = open.map((one) => `${file}:1:1 is not read again as it is: everybody may write to ${one}, chmod o-w`)
  return { ...loaded, warnings: [...loaded.warnings, ...unfit] }
}

/**
 * The same of a file that somebody may be writing just now: waits until it has come to rest, a second at most.
 * @throws SettingsError with everything that is wrong
 */
export async function loadSettingsAgain(file: string): Promise<Loaded> {
  const loaded = await parseSettings(textOf(await steadyBytesOf(file), file), file)
  if (loaded.openToAll.length === 0) return loaded
  throw new SettingsError(
    loaded.openToAll.map((one) => `${file}:1:1 goes by ${one}: may be written by everybody, chmod o-w`),
  )
}

/**
 * The same of a text. `file`: where it is from, or would be: relative paths in it start there, and messages name it.
 * @throws SettingsError with everything that is wrong
 */
export async function parseSettings(text: string, file: string): Promise<Loaded> {
  const document = readDocument(withoutMark(text), file)
  if (document.faults.length > 0) throw new SettingsError(document.faults)
  const { value, faults: unfilled, explain } = expandPresets(document.value ?? {})
  const parsed = settingsSchema.safeParse(value, { error: inWords, reportInput: false })
  const unfit = parsed.success ? [] : firstOfEach(parsed.error.issues.flatMap(faultsOf))
  if (!parsed.success || unfilled.length > 0)
    throw new SettingsError(document.locateAll([...unfilled, ...explain(unfit)]))
  const {
    settings,
    faults: unread,
    descriptions,
    openToAll,
  } = await withOperations(parsed.data, dirname(resolve(file)))
  const faults = [...crossFaults(settings), ...unread]
  if (faults.length > 0) throw new SettingsError(document.locateAll(explain(faults)))
  const readAt = Date.now()
  const warnings = document.locateAll(crossWarnings(settings, readAt))
  const digest = digestOf([text, ...descriptions])
  return { file: resolve(file), settings, warnings, digest, openToAll, readAt, locateAll: document.locateAll }
}

/**
 * Which settings they are, to be held against what was reviewed: the SHA-256, in hex, of the file as it lies there, so that
 * `sha256sum` says the same. Where rules go by API descriptions, these are part of what is decided by: then it is the SHA-256
 * of the digests of the file and of each of them, a line each, in the order in which the file first names them.
 */
function digestOf(texts: readonly string[]): string {
  const [only = '', ...others] = texts.map((text) => hash('sha256', text))
  return others.length === 0 ? only : hash('sha256', [only, ...others].map((one) => `${one}\n`).join(''))
}

/** @throws SettingsError with the place of the first byte that is not of UTF-8 */
function textOf(bytes: Buffer, file: string): string {
  const text = bytes.toString('utf8')
  if (!isUtf8(bytes)) throw new SettingsError([`${file}:${placeOfBadByte(text)} use UTF-8: this byte is not of it`])
  return text
}

function placeOfBadByte(text: string): string {
  const before = withoutMark(text.slice(0, text.indexOf('\uFFFD'))).split('\n')
  return `${before.length}:${(before.at(-1)?.length ?? 0) + 1}`
}

/** A byte order mark is no part of what is said. */
function withoutMark(text: string): string {
  return text.replace(/^\uFEFF/, '')
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
