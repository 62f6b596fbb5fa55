import { dirname } from 'node:path'
import { type Loaded, loadSettings } from '../settings/load.ts'
import { caPlace, interceptedHosts } from '../settings/policy.ts'
import type { Settings } from '../settings/schema.ts'
import { parseListen } from '../wire/listen.ts'
import { callerNamed, placeholdersOf } from './callers.ts'
import { childEnvironment } from './child-environment.ts'
import { type Format, formats, KEY } from './env-formats.ts'
import { notesOf } from './env-notes.ts'
import { orSettingsExit } from './failing.ts'
import { keyInShell } from './key-line.ts'
import { type PublishedTrust, publishedTrust } from './published-trust.ts'
import { userEnvironment } from './user-environment.ts'

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
    // A container is elsewhere: what this machine keeps from proxies, and has for wget, says nothing of it.
    const env = chosen === 'kubernetes' ? IN_CLUSTER : userEnvironment(process.env)
    const published = trustIn(loaded, env)
    const variables = childEnvironment({
      address: door.listen,
      userinfo,
      trust: published?.trust,
      placeholders: placeholdersOf(loaded.settings, name),
      env,
    })
    const key = userinfo === undefined ? undefined : keyInShell(loaded, name)
    const notes = notesOf({
      format: chosen,
      settings: loaded.settings,
      caller: name,
      isKeyed: key !== undefined,
      published,
    })
    process.stdout.write(formats[chosen]({ variables, caller: name, key, notes }))
    if (chosen === 'json') process.stderr.write(notes.map((note) => `${note}\n`).join(''))
  })
}

type ForwardSettings = Extract<Settings['listeners'][number], { kind: 'forward' }>

function fixedDoor({ listeners }: Settings): ForwardSettings {
  const door = listeners.find((one): one is ForwardSettings => {
    const where = parseListen(one.listen)
    // By which name a TLS door is reached, and whom its clients are to trust for that, is not in the settings.
    return (
      one.kind === 'forward' &&
      one.tls === undefined &&
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

/** What the sidecar writes for those who are to trust it. */
function trustIn({ file, settings }: Loaded, env: NodeJS.ProcessEnv): PublishedTrust | undefined {
  const { ca } = settings
  if (ca === undefined || ca === 'ephemeral' || interceptedHosts(settings).length === 0) return undefined
  return publishedTrust(caPlace(ca, dirname(file)).bundle, env)
}

/** Names of a cluster, which no proxy outside of it is asked for. */
const IN_CLUSTER = { NO_PROXY: '.svc,.cluster.local,kubernetes.default.svc' }
