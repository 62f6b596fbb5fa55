import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { FileReference } from '../forms/network.ts'
import { type OpenSecret, openSecret } from '../secrets/open.ts'
import { type References, SecretReference } from '../secrets/reference.ts'
import { trustOf } from '../wire/trust.ts'
import { pathText, SettingsError, type SettingsFault } from './fault.ts'
import type { Loaded } from './load.ts'

/** What a settings file refers to, opened. `close` stops watching the files. */
export interface OpenReferences extends References {
  close(): void
}

/**
 * Opens every secret and every file that the settings refer to.
 * `onFault`: a secret file that changed for the worse, with the settings that name it; the value before it stays in use.
 * @throws SettingsError with everything that could not be opened
 */
export async function openReferences(loaded: Loaded, onFault: (message: string) => void): Promise<OpenReferences> {
  const directory = dirname(loaded.file)
  const secrets = new Map<SecretReference, OpenSecret>()
  const openOnce = openerFor(loaded, onFault)
  const files = new Map<FileReference, string>()
  const faults: SettingsFault[] = []
  for (const { path, reference } of referencesIn(loaded.settings)) {
    try {
      if (reference instanceof SecretReference) secrets.set(reference, await openOnce(reference))
      else files.set(reference, await readCertificates(resolve(directory, reference.file)))
    } catch (error) {
      faults.push({ path, message: error instanceof Error ? error.message : String(error) })
    }
  }
  const close = () => secrets.forEach((secret) => secret.close())
  if (faults.length > 0) {
    close()
    throw new SettingsError(loaded.locateAll(faults))
  }
  return { secret: (reference) => found(secrets, reference), file: (reference) => found(files, reference), close }
}

/** One file is one secret, however many places name it: it is read, watched and complained of once, with all of them. */
function openerFor({ file, settings }: Loaded, onFault: (message: string) => void) {
  const directory = dirname(file)
  const places = Map.groupBy(referencesIn(settings), ({ reference }) => sourceOf(reference, directory))
  const opened = new Map<string, Promise<OpenSecret>>()
  return (reference: SecretReference): Promise<OpenSecret> => {
    const source = sourceOf(reference, directory)
    const named = (places.get(source) ?? []).map(({ path }) => pathText(path)).join(', ')
    const opening =
      opened.get(source) ?? openSecret(reference, { directory, onFault: (message) => onFault(`${named}: ${message}`) })
    opened.set(source, opening)
    return opening
  }
}

/** The same for two spellings of one path. */
function sourceOf(reference: Found['reference'], directory: string): string {
  if (reference instanceof FileReference) return `certificates ${reference.file}`
  const { file } = reference.settings
  return JSON.stringify(typeof file === 'string' ? { file: resolve(directory, file) } : reference.settings)
}

/** Every file that settings refer to so far holds certificates. */
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
