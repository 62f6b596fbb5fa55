import { ceilingOf } from '../callers/ceiling-of.ts'
import { kindOfCaller } from '../callers/registry.ts'
import type { Caller } from '../core/ask.ts'
import { type Told, tellWhy } from '../gate/why.ts'
import { loadSettings } from '../settings/load.ts'
import { compilePolicy } from '../settings/policy.ts'
import type { Settings } from '../settings/schema.ts'
import { EXIT } from './exit-codes.ts'
import { orSettingsExit } from './failing.ts'

interface WhyOptions {
  readonly config?: string | undefined
  readonly caller: string
  /** Those that the proof of the caller would name. */
  readonly group?: readonly string[]
  readonly scope?: readonly string[]
  readonly method: string
  readonly json?: true
}

/** `sallyport why`: the very decision that a door would make, from the settings alone; nothing is sent anywhere. */
export async function why(url: string, options: WhyOptions): Promise<void> {
  await orSettingsExit(async () => {
    if (options.config === undefined) throw new Error('use --config FILE, or --live and --admin ADDRESS')
    const { settings } = await loadSettings(options.config)
    const caller = callerOf(options, settings)
    const told = tellWhy({ caller, method: options.method, url, at: Date.now() }, compilePolicy(settings))
    if (!told) throw new Error('use a URL such as http://api.crm.example.com/v1/contacts')
    if (told.code) process.exitCode = EXIT.refused
    process.stdout.write(options.json ? `${JSON.stringify(told)}\n` : inWords(told))
  })
}

function callerOf({ caller: name, group, scope }: WhyOptions, { callers }: Settings): Caller {
  const method = kindOfCaller(name, callers)
  if (method === undefined)
    throw new Error(`${name} is no caller: use one of ${Object.keys(callers).join(', ') || 'none yet'}`)
  const scopes = scope && ceilingOf(name, scope, callers)
  return { name, method, ...(group && { groups: group }), ...(scopes && { scopes }) }
}

/** What is told of a decision, whoever made it. */
type Words = Pick<Told, 'decision' | 'reason'> & {
  readonly tunnel?: Told['tunnel'] | undefined
  readonly code?: string | undefined
  readonly wouldRefuse?: string | undefined
  readonly remedy?: string | undefined
}

/** A decision for people. */
export function inWords({ decision, tunnel, reason, code, wouldRefuse, remedy }: Words): string {
  if (code) return `${decision}: ${reason} (${code})\n${remedy}\n`
  const passage = tunnel ? TUNNELS[tunnel] : ''
  return wouldRefuse
    ? `${decision}: ${reason}${passage} (would be ${wouldRefuse})\n`
    : `${decision}: ${reason}${passage}\n`
}

const TUNNELS = {
  opened: '; CONNECT is opened by our own authority',
  unopened: '; CONNECT passes unread, so no credential goes in',
} as const
