import { type Explanation, explain } from '../core/explain.ts'
import { problems } from '../core/problems.ts'
import { loadSettings } from '../settings/load.ts'
import { compilePolicy } from '../settings/policy.ts'
import { parseAbsoluteForm } from '../wire/authority.ts'
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
    const target = parseAbsoluteForm(url)
    if (!target) throw new Error('use a URL such as http://api.crm.example.com/v1/contacts')
    const known = Object.hasOwn(settings.callers, caller) ? settings.callers[caller] : undefined
    if (!known)
      throw new Error(`use the name of a caller: ${Object.keys(settings.callers).join(', ') || 'there is none yet'}`)
    const who = { name: caller, method: known.kind }
    const wish = { ...target, caller: who, method, scheme: schemeOf(url), at: Date.now() }
    const { decision, tunnel } = explain(wish, compilePolicy(settings))
    const code = decision.permitted ? undefined : decision.code
    if (!decision.permitted) process.exitCode = EXIT.refused
    const { connection, grant, reason } = decision
    const told = {
      decision: code ? 'refuse' : 'permit',
      tunnel,
      reason,
      code,
      connection,
      grant,
      remedy: code && problems[code].remedy,
    }
    process.stdout.write(json ? `${JSON.stringify(told)}\n` : inWords(told))
  })
}

function schemeOf(url: string): 'http' | 'https' {
  return /^https:/i.test(url) ? 'https' : 'http'
}

interface Told {
  readonly decision: string
  readonly tunnel: Explanation['tunnel']
  readonly reason: string
  readonly code: string | undefined
  readonly remedy: string | undefined
}

function inWords({ decision, tunnel, reason, code, remedy }: Told): string {
  if (code) return `${decision}: ${reason} (${code})\n${remedy}\n`
  return `${decision}: ${reason}${tunnel ? TUNNELS[tunnel] : ''}\n`
}

const TUNNELS = {
  opened: '; CONNECT is opened by our own authority',
  unopened: '; CONNECT passes unread, so no credential goes in',
} as const
