import { isDeepStrictEqual } from 'node:util'
import { keepsTokens } from '../credentials/registry.ts'
import type { SettingsFault } from './fault.ts'
import { interceptedHosts } from './policy.ts'
import type { Settings } from './schema.ts'

/** What a running sidecar takes in anew. All else is what it was started with. */
const LIVE: ReadonlySet<string> = new Set(['allowlist', 'callers', 'connections', 'grants'])

const RESTART = 'has changed, and is read at the start alone: restart, or put it back as it was'

/** What of other settings a running sidecar cannot take in; none of them is taken in then. */
export function restartFaults(before: Settings, after: Settings): SettingsFault[] {
  return [
    ...frozenFaults(before, after),
    ...interceptionFaults(before, after),
    ...proofFaults(before, after),
    ...loginFaults(before, after),
  ]
}

function frozenFaults(before: Settings, after: Settings): SettingsFault[] {
  const [one, other]: Readonly<Record<string, unknown>>[] = [before, after]
  const keys = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...keys]
    .filter((key) => !LIVE.has(key) && !isDeepStrictEqual(one?.[key], other?.[key]))
    .map((key) => ({ path: [key], message: RESTART }))
}

/** The certificate of our authority names the hosts that it answers for. */
function interceptionFaults(before: Settings, after: Settings): SettingsFault[] {
  const [then, now] = [before, after].map((settings) => interceptedHosts(settings).toSorted())
  if (isDeepStrictEqual(then, now)) return []
  return [{ path: ['connections'], message: `which hosts are intercepted ${RESTART}: the authority names them` }]
}

/** Doors ask the kernel, or for certificates, only where there was a caller for whom they had to. */
function proofFaults(before: Settings, after: Settings): SettingsFault[] {
  return ['unix-peer', 'spiffe'].flatMap((kind) => {
    const [then, now] = [before, after].map(({ callers }) => Object.values(callers).some((one) => one.kind === kind))
    const message = `whether there are callers of kind ${kind} ${RESTART}: the doors have to know`
    return then === now ? [] : [{ path: ['callers'], message }]
  })
}

/** Two of them would spend one refresh token. */
function loginFaults(before: Settings, after: Settings): SettingsFault[] {
  return Object.entries(before.connections).flatMap(([name, one]) => {
    const other = after.connections[name]
    if (!keepsTokens(one.credential) || isDeepStrictEqual(one, other)) return []
    return [{ path: other ? ['connections', name] : ['connections'], message: `${name} keeps logins, and ${RESTART}` }]
  })
}
