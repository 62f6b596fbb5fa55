import type { Caller } from '../core/ask.ts'
import { why as explain, type Why } from '../review/why.ts'
import { loadSettings } from '../settings/load.ts'
import { compilePolicy } from '../settings/policy.ts'
import type { Settings } from '../settings/schema.ts'
import { EXIT } from './exit-codes.ts'
import { orSettingsExit } from './failing.ts'

interface WhyOptions {
  readonly config: string
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
    const { settings } = await loadSettings(options.config)
    const caller = callerOf(options, settings)
    const told = explain({ caller, method: options.method, url, at: Date.now() }, compilePolicy(settings))
    if (!told) throw new Error('use a URL such as http://api.crm.example.com/v1/contacts')
    if (told.decision === 'refuse') process.exitCode = EXIT.refused
    process.stdout.write(options.json ? `${JSON.stringify(told)}\n` : inWords(told))
  })
}

function callerOf({ caller: name, group, scope }: WhyOptions, { callers }: Settings): Caller {
  const known = Object.hasOwn(callers, name) ? callers[name] : undefined
  if (!known) throw new Error(`use the name of a caller: ${Object.keys(callers).join(', ') || 'there is none yet'}`)
  return { name, method: known.kind, ...(group && { groups: group }), ...(scope && { scopes: scope }) }
}

function inWords({ decision, reason, code, wouldRefuse, remedy }: Why): string {
  if (wouldRefuse) return `${decision}: ${reason} (would be ${wouldRefuse})\n${remedy}\n`
  return code ? `${decision}: ${reason} (${code})\n${remedy}\n` : `${decision}: ${reason}\n`
}
