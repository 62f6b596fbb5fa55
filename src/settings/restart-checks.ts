import { isDeepStrictEqual } from 'node:util'
import { inShell } from '../forms/in-shell.ts'
import type { SettingsFault } from './fault.ts'
import { interceptedHosts } from './policy.ts'
import type { Settings } from './schema.ts'

/** What a running sidecar takes in anew. All else is what it was started with. */
const LIVE: ReadonlySet<string> = new Set(['allowlist', 'callers', 'connections', 'grants'])

const RESTART = 'has changed, and is read at the start alone: restart, or put it back as it was'

/** What of other settings a sidecar that was started with `start` cannot take in; none of them is taken in then. `file`: theirs. */
export function restartFaults(start: Settings, after: Settings, file: string): SettingsFault[] {
  return [...frozenFaults(start, after), ...interceptionFaults(start, after, file), ...proofFaults(start, after)]
}

function frozenFaults(before: Settings, after: Settings): SettingsFault[] {
  const [one, other]: Readonly<Record<string, unknown>>[] = [before, after]
  const keys = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...keys]
    .filter((key) => !LIVE.has(key) && !isDeepStrictEqual(one?.[key], other?.[key]))
    .map((key) => ({ path: [key], message: RESTART }))
}

/** The certificate of our authority names the hosts that it answers for. With fewer of them it stays as it is, at a restart too. */
function interceptionFaults(start: Settings, after: Settings, file: string): SettingsFault[] {
  const named = interceptedHosts(start)
  const remedy = remedyFor(after, named, file)
  return Object.entries(after.connections).flatMap(([name, connection]) => {
    const hosts = interceptedHosts({ ca: after.ca, connections: { [name]: connection } })
    const news = hosts.filter((host) => !named.some((one) => isWithin(host, one)))
    const message = `${news.join(', ')} cannot be intercepted yet, because the authority was opened at the start for other hosts: ${remedy}, or add "connect: refuse" until then`
    return news.length === 0 ? [] : [{ path: ['connections', name, 'hosts'], message }]
  })
}

/** One in memory is new at each start, and where nothing was intercepted none was opened: what is kept stays until it is rotated. */
function remedyFor({ ca }: Settings, named: readonly string[], file: string): string {
  if (ca === 'ephemeral' || named.length === 0) return 'restart'
  return `run \`sallyport ca rotate --config ${inShell(file)}\`, restart, and hand out the new certificate to the apps`
}

function isWithin(host: string, pattern: string): boolean {
  if (host === pattern) return true
  return pattern.startsWith('*.') && host.replace(/^\*/, '').endsWith(pattern.slice(1))
}

/** Doors ask the kernel, or for certificates, only where there was a caller for whom they had to. */
function proofFaults(before: Settings, after: Settings): SettingsFault[] {
  return ['unix-peer', 'spiffe'].flatMap((kind) => {
    const [then, now] = [before, after].map(({ callers }) => Object.values(callers).some((one) => one.kind === kind))
    const message = `whether there are callers of kind ${kind} ${RESTART}: the doors have to know`
    return then === now ? [] : [{ path: ['callers'], message }]
  })
}
