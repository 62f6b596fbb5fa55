import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { SettingsFault } from '../settings/fault.ts'
import type { Loaded } from '../settings/load.ts'

interface Place {
  readonly loaded: Loaded
  readonly env: NodeJS.ProcessEnv
}

/** The key of a caller as a client would be given it; undefined where the settings do not tell, or it cannot be read. */
export async function callerKey(caller: string, { loaded, env }: Place): Promise<string | undefined> {
  const settings = loaded.settings.callers[caller]
  if (settings?.kind !== 'api-key') return undefined
  const { file, env: name } = settings.key?.settings ?? {}
  if (typeof name === 'string') return env[name]
  if (typeof file !== 'string') return undefined
  const text = await readFile(resolve(dirname(loaded.file), file), 'utf8').catch(() => undefined)
  return text?.replace(/\r?\n$/, '')
}

/** 64 bits, where each character is a hex digit. */
const FEWEST = 16

/** Keys that can be read, and yet are hardly meant. */
export async function keyWarnings(place: Place): Promise<readonly string[]> {
  const faults: SettingsFault[] = []
  for (const caller of Object.keys(place.loaded.settings.callers)) {
    const message = weaknessOf(await callerKey(caller, place))
    if (message !== undefined) faults.push({ path: ['callers', caller, 'key'], message })
  }
  return place.loaded.locateAll(faults)
}

function weaknessOf(key: string | undefined): string | undefined {
  if (key === undefined) return undefined
  if (/\p{Cc}/u.test(key))
    return 'has a carriage return or another control character in it, which no client can send: write the key alone'
  return key.length < FEWEST ? `has fewer than ${FEWEST} characters: use one that nobody can guess` : undefined
}
