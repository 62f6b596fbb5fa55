import { kindOfCaller } from '../callers/registry.ts'
import type { Caller } from '../core/ask.ts'
import { decide, type Permit, type Policy, type Refusal } from '../core/decide.ts'
import { decidePassage, type Passage } from '../core/passage.ts'
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
    const proof = kindOfCaller(caller, settings.callers)
    if (proof === undefined)
      throw new Error(`use the name of a caller: ${Object.keys(settings.callers).join(', ') || 'there is none yet'}`)
    const who = { name: caller, method: proof }
    const decision = decided({ caller: who, target, method, isHttp: /^http:/i.test(url) }, compilePolicy(settings))
    const code = decision.permitted ? undefined : decision.code
    if (!decision.permitted) process.exitCode = EXIT.refused
    const { connection, grant, reason } = decision
    const told = {
      decision: code ? 'refuse' : 'permit',
      reason,
      code,
      connection,
      grant,
      remedy: code && problems[code].remedy,
    }
    process.stdout.write(json ? `${JSON.stringify(told)}\n` : inWords(told))
  })
}

interface Wanted {
  readonly caller: Caller
  readonly target: NonNullable<ReturnType<typeof parseAbsoluteForm>>
  readonly method: string
  readonly isHttp: boolean
}

/** A CONNECT is asked for a host and a port alone; clients name the port of the scheme where a URL has none. */
function decided({ caller, target, method, isHttp }: Wanted, policy: Policy): Permit | Passage | Refusal {
  const { host, port, path } = target
  const at = Date.now()
  if (method === 'CONNECT') return decidePassage({ caller, host, port: port ?? (isHttp ? 80 : 443), at }, policy)
  return decide({ caller, target: { kind: 'name', host, port }, method, path, at }, policy)
}

function inWords({
  decision,
  reason,
  code,
  remedy,
}: {
  decision: string
  reason: string
  code: string | undefined
  remedy: string | undefined
}): string {
  return code ? `${decision}: ${reason} (${code})\n${remedy}\n` : `${decision}: ${reason}\n`
}
