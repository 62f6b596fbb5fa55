import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { type House, openHouse } from '../main.ts'
import { SecretReference } from '../secrets/reference.ts'
import { type Loaded, loadSettings } from '../settings/load.ts'
import { referencesIn } from '../settings/open.ts'
import type { Settings } from '../settings/schema.ts'
import { describe } from '../telemetry/logger.ts'
import { systemClock } from '../wire/system-clock.ts'
import { callerNamed, placeholdersOf } from './callers.ts'
import { Refusals } from './refusals.ts'
import { isStandardOutput, runSettings } from './run-settings.ts'
import { type Sidecar, userinfoOf } from './sidecar.ts'

interface OwnSidecarOptions {
  readonly config: string
  readonly caller: string | undefined
  /** Where to record what it does, besides the files that the settings name. */
  readonly audit: string | undefined
}

/**
 * Opens a sidecar in this process, for one child: it knows one caller, by a key that was made for it.
 * @throws SettingsError, ListenError, Error in words
 */
export async function openOwnSidecar({ config, caller, audit }: OwnSidecarOptions): Promise<Sidecar> {
  const loaded = await loadSettings(config)
  const name = callerNamed(loaded.settings, caller)
  const key = randomBytes(32).toString('base64url')
  const record = await recordFor(loaded, audit)
  const settings = runSettings(loaded.settings, { name, key, record })
  const refusals = new Refusals()
  const house = await openHouse({ ...loaded, settings }, systemClock, (entry) => refusals.take(entry))
  endOnUncaught(house)
  return {
    // The one door there is.
    address: house.listeners.map(({ address }) => address).join(),
    userinfo: userinfoOf(name, key),
    certificatePem: house.ca?.certificatePem,
    placeholders: placeholdersOf(loaded.settings, name),
    withheld: secretVariables(loaded.settings),
    hosts: Object.values(loaded.settings.connections).flatMap(({ hosts }) => hosts),
    refusals: () => refusals.lines(record ?? fileOf(settings, dirname(loaded.file))),
    close: () => house.close(),
  }
}

/**
 * Standard output is the command's. What is recorded nowhere else goes to the file that was asked for, or to one of the
 * user's own, made for that.
 * @see XDG Base Directory Specification: state is where logs belong
 */
async function recordFor({ settings }: Loaded, audit: string | undefined): Promise<string | undefined> {
  if (audit !== undefined) return resolve(audit)
  if (!settings.audit.sinks.every(isStandardOutput)) return undefined
  const state = process.env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state')
  const directory = join(state, 'sallyport')
  await mkdir(directory, { recursive: true, mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`${directory} cannot be made for the audit (${error.code}): use --audit FILE`)
  })
  return join(directory, 'audit.jsonl')
}

/** The file that the settings have the audit in. */
function fileOf({ audit }: Settings, base: string): string | undefined {
  const paths = audit.sinks.flatMap((sink) =>
    sink.kind === 'json-lines' && sink.path !== undefined ? [sink.path] : [],
  )
  return paths.map((path) => resolve(base, path))[0]
}

/** Those of every caller and connection, not of this one alone: no child is to hold any of them. */
function secretVariables(settings: Settings): string[] {
  return referencesIn(settings).flatMap(({ reference }) => {
    const name = reference instanceof SecretReference ? reference.settings['env'] : undefined
    return typeof name === 'string' ? [name] : []
  })
}

/** No input may get here. Should one, the child is told to end, and all else ends with it. */
function endOnUncaught(house: House): void {
  process.on('uncaughtException', (error) => {
    house.log.error({ error: describe(error) }, 'an error nobody caught')
    process.kill(process.pid, 'SIGTERM')
  })
}
