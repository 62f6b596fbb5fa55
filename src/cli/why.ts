import { type Told, tellWhy } from '../gate/why.ts'
import { loadSettings } from '../settings/load.ts'
import { compilePolicy } from '../settings/policy.ts'
import { EXIT } from './exit-codes.ts'
import { orSettingsExit } from './failing.ts'

interface WhyOptions {
  readonly config: string
  readonly caller: string
  readonly method: string
  readonly json?: true
}

/** `sallyport why`: the very decision that a door would make, from the settings alone; nothing is sent anywhere. */
export async function why(url: string, { config, caller, method, json }: WhyOptions): Promise<void> {
  await orSettingsExit(async () => {
    const { settings } = await loadSettings(config)
    const known = Object.hasOwn(settings.callers, caller) ? settings.callers[caller] : undefined
    if (!known)
      throw new Error(`use the name of a caller: ${Object.keys(settings.callers).join(', ') || 'there is none yet'}`)
    const who = { name: caller, method: known.kind }
    const told = tellWhy({ caller: who, method, url, at: Date.now() }, compilePolicy(settings))
    if (!told) throw new Error('use a URL such as http://api.crm.example.com/v1/contacts')
    if (told.code) process.exitCode = EXIT.refused
    process.stdout.write(json ? `${JSON.stringify(told)}\n` : inWords(told))
  })
}

function inWords({ decision, tunnel, reason, code, remedy }: Told): string {
  if (code) return `${decision}: ${reason} (${code})\n${remedy}\n`
  return `${decision}: ${reason}${tunnel ? TUNNELS[tunnel] : ''}\n`
}

const TUNNELS = {
  opened: '; CONNECT is opened by our own authority',
  unopened: '; CONNECT passes unread, so no credential goes in',
} as const
