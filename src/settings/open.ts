import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { FileReference } from '../forms/network.ts'
import type { SecretBase, StoredSecrets } from '../secrets/kind.ts'
import { type OpenSecret, openSecret, whyHidden } from '../secrets/open.ts'
import { type References, SecretReference } from '../secrets/reference.ts'
import { trustOf } from '../wire/trust.ts'
import { pathText, SettingsError, type SettingsFault } from './fault.ts'
import type { Loaded } from './load.ts'
import { openedFaults } from './opened-checks.ts'
import { type Reading, Shared } from './shared.ts'
import { openText } from './text-file.ts'

/** What a settings file refers to, opened. `close` stops watching what no other reading names. */
export interface OpenReferences extends References {
  /** Secrets that are not opened, those in the store to begin with: as `file:line:col path: why`. */
  readonly left: readonly string[]
  /** Opens those. @throws SettingsError with everything that could not be opened */
  openStored(stored: StoredSecrets): Promise<void>
  /** Each file of a secret, or of text that is read again, and whether it cannot be used as it stands. */
  files(): ReadonlyMap<string, boolean>
  close(): void
}

/**
 * Opens every secret and every file that the settings refer to, but for what is in the store: that one is opened with
 * secrets of these.
 * `onFault`: a file that changed for the worse, with the settings that name it; what it held before stays in use.
 * `shared`: with other readings, and told of each change of a secret.
 * @throws SettingsError with everything that could not be opened, or does not belong together
 */
export function openReferences(
  loaded: Loaded,
  onFault: (message: string) => void,
  shared = new Shared(),
): Promise<OpenReferences> {
  const why = (one: Found) => (isStored(one, loaded) ? 'is in the store' : undefined)
  return openBut(why, { loaded, onFault, shared })
}

/**
 * The same for a command that only looks at settings, from a shell: what systemd hands to the service alone is left, too.
 * @throws SettingsError
 */
export function openVisible(loaded: Loaded, env: NodeJS.ProcessEnv): Promise<OpenReferences> {
  const why = (one: Found) => whyUnseen(one, loaded, env)
  return openBut(why, { loaded, onFault: () => undefined, shared: new Shared() })
}

/** Why a command that only looks at settings leaves this one, in words; undefined: it does not. */
export function whyUnseen(one: Found, loaded: Loaded, env: NodeJS.ProcessEnv): string | undefined {
  if (isStored(one, loaded)) return 'is in the store, which is not opened to look'
  return one.reference instanceof SecretReference ? whyHidden(one.reference, env) : undefined
}

interface Terms {
  readonly loaded: Loaded
  readonly onFault: (message: string) => void
  readonly shared: Shared
}

async function openBut(
  why: (one: Found) => string | undefined,
  { loaded, onFault, shared }: Terms,
): Promise<OpenReferences> {
  const base = { directory: dirname(loaded.file), onFault }
  const opened: Opened = { secrets: new Map(), files: new Map(), reading: shared.reading(), changed: shared.changed }
  const all = referencesIn(loaded.settings)
  const stored = all.filter((one) => isStored(one, loaded))
  const left = new Map(all.map((one) => [one, why(one)]).filter((row): row is [Found, string] => row[1] !== undefined))
  await openAll(
    all.filter((one) => !left.has(one)),
    { opened, loaded, base },
  )
  return {
    ...lookingUpIn(opened),
    left: loaded.locateAll([...left].map(([{ path }, message]) => ({ path, message }))),
    openStored: (secrets) => openAll(stored, { opened, loaded, base: { ...base, stored: secrets } }),
    files: () => filesIn(opened),
    close: () => opened.reading.close(),
  }
}

interface Opened {
  readonly secrets: Map<SecretReference, OpenSecret>
  readonly files: Map<FileReference, OpenFile>
  readonly reading: Reading
  changed(): void
}

/** A file of text that is no secret. */
interface OpenFile {
  current(): string
  close(): void
  readonly isFailing: boolean
}

interface Opening {
  readonly opened: Opened
  readonly loaded: Loaded
  readonly base: SecretBase
}

/** Closes everything, when one cannot be opened. */
async function openAll(references: readonly Found[], { opened, loaded, base }: Opening): Promise<void> {
  const openOnce = openerFor(loaded, base, opened)
  const faults: SettingsFault[] = []
  for (const { path, reference } of references) {
    try {
      if (reference instanceof SecretReference) opened.secrets.set(reference, await openOnce(reference))
      else opened.files.set(reference, await openFile(reference, base, opened.reading))
    } catch (error) {
      faults.push({ path, message: error instanceof Error ? error.message : String(error) })
    }
  }
  if (faults.length === 0) faults.push(...faultsOf(opened, loaded))
  if (faults.length === 0) return
  opened.reading.close()
  throw new SettingsError(loaded.locateAll(faults))
}

/** A key may still be in the store, which is opened later: its certificate is judged with it then. */
function faultsOf(opened: Opened, { settings }: Loaded): readonly SettingsFault[] {
  const isOpen = (key: SecretReference) => opened.secrets.has(key)
  return openedFaults(settings, { ...lookingUpIn(opened), isOpen }, Date.now())
}

function lookingUpIn({ secrets, files }: Opened): References {
  return {
    secret: (reference) => found(secrets, reference),
    file: (reference) => found(files, reference).current(),
  }
}

/** As the settings spell their paths. */
function filesIn({ secrets, files }: Opened): ReadonlyMap<string, boolean> {
  const texts = [...files].filter(([{ faultOfText }]) => faultOfText).map(([{ file }, one]) => [file, one] as const)
  const kept = [...secrets].flatMap(([{ settings }, one]) =>
    typeof settings['file'] === 'string' ? [[settings['file'], one] as const] : [],
  )
  return new Map([...texts, ...kept].map(([file, { isFailing = false }]) => [file, isFailing]))
}

/** What opens the store cannot be in it, and without a store nothing is: both are told when they are opened. */
function isStored({ path, reference }: Found, { settings }: Loaded): boolean {
  const isOfStore = reference instanceof SecretReference && Object.hasOwn(reference.settings, 'store')
  return isOfStore && path[0] !== 'store' && settings.store !== undefined
}

/**
 * Certificates are read once: what is built of them is not built again. Other files are watched; one that several places name
 * changes for all of them at once, so what belongs together stays together.
 */
async function openFile(reference: FileReference, base: SecretBase, reading: Reading): Promise<OpenFile> {
  const { file, faultOfText, whenGone } = reference
  const path = resolve(base.directory, file)
  if (faultOfText) {
    const { onFault = () => undefined } = base
    const key = JSON.stringify(['text', path, idOf(faultOfText), whenGone])
    return reading.hold(key, () => openText(path, { faultOfText, whenGone, onFault }))
  }
  const pem = await readCertificates(path)
  return { current: () => pem, close: () => undefined, isFailing: false }
}

const ids = new WeakMap<object, number>()
let lastId = 0

/** The same number for the same object. */
function idOf(one: object): number {
  const id = ids.get(one) ?? ++lastId
  ids.set(one, id)
  return id
}

/** One file is one secret, however many places name it: it is read, watched and complained of once, with all of them. */
function openerFor({ settings }: Loaded, base: SecretBase, { reading, changed }: Opened) {
  const { directory, onFault = () => undefined } = base
  const places = Map.groupBy(referencesIn(settings), ({ reference }) => sourceOf(reference, directory))
  return (reference: SecretReference): Promise<OpenSecret> => {
    const source = sourceOf(reference, directory)
    const named = (places.get(source) ?? []).map(({ path }) => pathText(path)).join(', ')
    return reading.hold(source, async () => {
      const one = await openSecret(reference, { ...base, onFault: (message) => onFault(`${named}: ${message}`) })
      one.onChange(changed)
      return one
    })
  }
}

/** The same for two spellings of one path. */
function sourceOf(reference: Found['reference'], directory: string): string {
  if (reference instanceof FileReference) return `certificates ${reference.file}`
  const { settings, mayBeMissing } = reference
  const { file } = settings
  return JSON.stringify([typeof file === 'string' ? { file: resolve(directory, file) } : settings, mayBeMissing])
}

async function readCertificates(file: string): Promise<string> {
  const pem = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Error(`${file} cannot be read (${error.code}): use the path of a PEM file`)
  })
  try {
    trustOf(pem)
  } catch (cause) {
    throw new Error(`${file} is not a PEM file of certificates: use one with "-----BEGIN CERTIFICATE-----"`, { cause })
  }
  return pem
}

/** One place in the settings that refers to something. */
export interface Found {
  readonly path: readonly PropertyKey[]
  readonly reference: SecretReference | FileReference
}

/** All that settings, or a part of them, refer to. */
export function referencesIn(value: unknown, path: readonly PropertyKey[] = []): Found[] {
  if (value instanceof SecretReference || value instanceof FileReference) return [{ path, reference: value }]
  if (Array.isArray(value)) return value.flatMap((item, index) => referencesIn(item, [...path, index]))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, item]) => referencesIn(item, [...path, key]))
}

function found<K, V>(map: ReadonlyMap<K, V>, key: K): V {
  const value = map.get(key)
  if (value === undefined) throw new Error('a reference that was not in the settings')
  return value
}
