import { decidePassage } from '../../core/passage.ts'
import { compilePolicy, interceptedHosts, portOf } from '../../settings/policy.ts'
import type { Settings } from '../../settings/schema.ts'
import type { ListenAddress } from '../../wire/listen.ts'
import { callerKey } from '../caller-key.ts'
import { fixedPlace, type Site } from './site.ts'
import { probeHost } from './words.ts'

/** A CONNECT that a running sidecar would open, by the settings. */
export interface Visit {
  readonly subject: string
  readonly place: ListenAddress
  readonly caller: string
  /** Undefined where the door itself knows the caller. */
  readonly key: string | undefined
  readonly host: string
  readonly port: number
}

/** The first one that the settings allow; undefined where they allow none, or tell no key. */
export async function visitTo(site: Site): Promise<Visit | undefined> {
  for (const knock of knocksAt(site)) {
    const target = targetFor(knock.caller, site)
    const key = knock.isKnown ? undefined : await callerKey(knock.caller, site)
    if (target && (knock.isKnown || key !== undefined)) return { ...knock, ...target, key }
  }
  return undefined
}

interface Knock extends Pick<Visit, 'subject' | 'place' | 'caller'> {
  /** By the door. */
  readonly isKnown: boolean
}

function knocksAt({ loaded }: Site): readonly Knock[] {
  const { listeners, callers } = loaded.settings
  return listeners.flatMap(({ kind, listen, caller: known }) => {
    const place = kind === 'forward' ? fixedPlace(listen, loaded) : undefined
    if (!place) return []
    const names = known === undefined ? Object.keys(callers) : [known]
    return names.map((caller) => ({ subject: `sidecar ${listen}`, place, caller, isKnown: known !== undefined }))
  })
}

/** A host that this caller may have opened. */
function targetFor(name: string, { loaded, clock }: Site): { host: string; port: number } | undefined {
  const { settings } = loaded
  const policy = compilePolicy(settings)
  const caller = { name, method: settings.callers[name]?.kind ?? '' }
  const targets = interceptedHosts(settings).flatMap((pattern) => {
    const host = probeHost(pattern)
    return host === undefined ? [] : [{ host, port: portAt(pattern, settings) }]
  })
  return targets.find(({ host, port }) => {
    const decision = decidePassage({ caller, host, port, at: clock.now() }, policy)
    return decision.permitted && decision.tls === 'open'
  })
}

function portAt(pattern: string, { connections }: Settings): number {
  const connection = Object.values(connections).find(({ hosts }) => hosts.includes(pattern))
  return connection ? portOf(connection) : 443
}
