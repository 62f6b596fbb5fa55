import { ceilingOf } from '../callers/ceiling-of.ts'
import { kindOfCaller } from '../callers/registry.ts'
import type { Caller } from '../core/ask.ts'
import type { ProblemCode } from '../core/problem.ts'
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
    const who = callerOf(options, settings)
    const told = tellWhy({ ...who, method: options.method, url, at: Date.now() }, compilePolicy(settings))
    if (!told) throw new Error('use a URL such as http://api.crm.example.com/v1/contacts')
    if (told.code) process.exitCode = EXIT.refused
    process.stdout.write(options.json ? `${JSON.stringify(told)}\n` : inWords(told))
    const mayBeStored = settings.store && told.code && OF_GRANTS.has(told.code)
    const notes = [told.lacksScopes && scopesNote(options.caller), mayBeStored && STORE_NOTE]
    if (!options.json) for (const note of notes) if (note) process.stderr.write(`${note}\n`)
  })
}

/** What a grant in the store would turn into a permit. */
const OF_GRANTS: ReadonlySet<ProblemCode> = new Set(['grant-missing', 'grant-expired', 'rule-not-matched'])

const STORE_NOTE =
  'this is what the settings file says: --live asks the running sidecar, which knows the grants in its store, too'

/** What is to be said of a decision that was made without the scopes that would cap it. */
export function scopesNote(caller: string): string {
  return `the scopes of its token cap what ${caller} may do, and this is without them: give each of them with --scope`
}

function callerOf(
  { caller: name, group, scope }: WhyOptions,
  { callers, store }: Settings,
): { readonly caller: Caller; readonly lacksScopes: boolean } {
  const method = kindOfCaller(name, callers)
  if (method === undefined) {
    const known = `${name} is no caller: use one of ${Object.keys(callers).join(', ') || 'none yet'}`
    throw new Error(store ? `${known}; or --live, which asks the running sidecar for those in its store` : known)
  }
  const ceiling = ceilingOf(name, scope ?? [], callers)
  const caller = { name, method, ...(group && { groups: group }), ...(scope && ceiling && { scopes: ceiling }) }
  return { caller, lacksScopes: ceiling !== undefined && !scope }
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
