import { dirname } from 'node:path'
import { type Loaded, loadSettings } from '../settings/load.ts'
import { caPlace, interceptedHosts } from '../settings/policy.ts'
import type { Settings } from '../settings/schema.ts'
import { parseListen } from '../wire/listen.ts'
import { callerNamed, placeholdersOf } from './callers.ts'
import { childEnvironment } from './child-environment.ts'
import { type Format, formats, KEY } from './env-formats.ts'
import { orSettingsExit } from './failing.ts'

interface EnvOptions {
  readonly config: string
  readonly caller?: string
  readonly format: Format
  readonly json?: true
}

/** `sallyport env`: what an app needs in its environment to use the sidecar of these settings. The key is never printed. */
export async function printEnvironment({ config, caller, format, json }: EnvOptions): Promise<void> {
  await orSettingsExit(async () => {
    const loaded = await loadSettings(config)
    const chosen = json ? 'json' : format
    const name = callerNamed(loaded.settings, caller)
    const door = fixedDoor(loaded.settings)
    const userinfo = userinfoAt(door, name, loaded.settings)
    const bundle = bundleOf(loaded)
    const variables = childEnvironment({
      address: door.listen,
      userinfo,
      trust: bundle === undefined ? undefined : { bundle },
      placeholders: placeholdersOf(loaded.settings, name),
      // A container is elsewhere: what this machine keeps from proxies says nothing of it.
      env: chosen === 'kubernetes' ? {} : process.env,
    })
    const notes = [...keyNotes(name, userinfo), ...trustNotes(loaded.settings)]
    process.stdout.write(formats[chosen]({ variables, caller: name, notes }))
    if (chosen === 'json') process.stderr.write(notes.map((note) => `${note}\n`).join(''))
  })
}

type ForwardSettings = Extract<Settings['listeners'][number], { kind: 'forward' }>

function fixedDoor({ listeners }: Settings): ForwardSettings {
  const door = listeners.find((one): one is ForwardSettings => {
    const where = parseListen(one.listen)
    // By which name a TLS door is reached, and whom its clients are to trust for that, is not in the settings.
    return (
      one.tls === undefined &&
      one.kind === 'forward' &&
      typeof where !== 'string' &&
      where.kind === 'tcp' &&
      where.port !== 0
    )
  })
  if (door) return door
  throw new Error('add a listener that a proxy variable can name, such as { kind: forward, listen: 127.0.0.1:15001 }')
}

function userinfoAt(door: ForwardSettings, name: string, { callers }: Settings): string | undefined {
  if (door.caller === name) return undefined
  const kind = callers[name]?.kind
  if (kind === 'api-key') return `${encodeURIComponent(name)}:${KEY}`
  throw new Error(`use --caller with one of kind api-key: at ${door.listen}, ${name} (${kind}) has nothing to show`)
}

/** Where the sidecar writes what apps are to trust. */
function bundleOf({ file, settings }: Loaded): string | undefined {
  const { ca } = settings
  if (ca === undefined || ca === 'ephemeral' || interceptedHosts(settings).length === 0) return undefined
  return caPlace(ca, dirname(file)).bundle
}

function keyNotes(name: string, userinfo: string | undefined): string[] {
  if (userinfo === undefined) return []
  return [`SALLYPORT_KEY: the key of ${name}; what is not a letter, a digit or one of -._~ percent-encoded`]
}

function trustNotes(settings: Settings): string[] {
  if (interceptedHosts(settings).length === 0) return ['no CA variables: nothing is intercepted; ask for http:// URLs']
  if (settings.ca !== 'ephemeral') return []
  return ['no CA variables: an ephemeral authority is another one at each start; use ca: { directory: DIR }']
}
