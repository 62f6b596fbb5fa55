import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { FileReference } from '../forms/network.ts'
import { type OpenSecret, openSecret } from '../secrets/open.ts'
import { type References, SecretReference } from '../secrets/reference.ts'
import { trustOf } from '../wire/trust.ts'
import { SettingsError, type SettingsFault } from './fault.ts'
import type { Loaded } from './load.ts'
import { openedFaults } from './opened-checks.ts'
import { type OpenText, openText } from './text-file.ts'

/** What a settings file refers to, opened. `close` stops watching the files. */
export interface OpenReferences extends References {
  close(): void
}

/**
 * Opens every secret and every file that the settings refer to.
 * `onFault`: a file that changed for the worse; what it held before stays in use.
 * @throws SettingsError with everything that could not be opened
 */
export async function openReferences(loaded: Loaded, onFault: (message: string) => void): Promise<OpenReferences> {
  const directory = dirname(loaded.file)
  const secrets = new Map<SecretReference, OpenSecret>()
  const files = new Map<FileReference, Pick<OpenText, 'current' | 'close'>>()
  const faults: SettingsFault[] = []
  for (const { path, reference } of referencesIn(loaded.settings)) {
    try {
      if (reference instanceof SecretReference)
        secrets.set(reference, await openSecret(reference, { directory, onFault }))
      else files.set(reference, await openFile(reference, { directory, onFault }))
    } catch (error) {
      faults.push({ path, message: error instanceof Error ? error.message : String(error) })
    }
  }
  const close = () => [...secrets.values(), ...files.values()].forEach((one) => one.close())
  const opened: OpenReferences = {
    secret: (reference) => found(secrets, reference),
    file: (reference) => found(files, reference).current(),
    close,
  }
  if (faults.length === 0) faults.push(...openedFaults(loaded.settings, opened, Date.now()))
  if (faults.length === 0) return opened
  close()
  throw new SettingsError(loaded.locateAll(faults))
}

interface FileBase {
  readonly directory: string
  onFault(message: string): void
}

/** Certificates are read once: what is built of them is not built again. */
async function openFile({ file, faultOfText, whenGone }: FileReference, { directory, onFault }: FileBase) {
  const path = resolve(directory, file)
  if (faultOfText) return openText(path, { faultOfText, whenGone, onFault })
  const pem = await readCertificates(path)
  return { current: () => pem, close: () => undefined }
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
