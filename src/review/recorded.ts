import type { Entry } from '../audit/entry.ts'
import type { Caller, Target } from '../core/ask.ts'
import type { Ceiling } from '../core/ceiling.ts'
import type { PassageQuestion } from '../core/passage.ts'
import type { Question } from '../core/policy.ts'

/** One ask as the audit tells of it. Entries carry no query, so nothing here is about it. */
export type Recorded = Pick<Entry, 'time' | 'id' | 'door' | 'method' | 'decision'> &
  Partial<
    Pick<
      Entry,
      | 'host'
      | 'port'
      | 'path'
      | 'caller'
      | 'proof'
      | 'groups'
      | 'scopes'
      | 'connection'
      | 'wouldRefuse'
      | 'code'
      | 'tunnel'
      | 'credential'
    >
  >

/** An audit line, where it tells of an ask; undefined: of something else, or it is none. */
export function parseRecorded(line: string): Recorded | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return isRecorded(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isRecorded(value: unknown): value is Recorded {
  if (typeof value !== 'object' || value === null || !('msg' in value) || value.msg !== 'ask') return false
  return ['time', 'id', 'door', 'method', 'decision'].every((key) => typeof Reflect.get(value, key) === 'string')
}

/** How far the scopes of a proof let a caller of that name reach; undefined: as far as its grants. */
export type CeilingOf = (caller: string, scopes: readonly string[]) => Ceiling | undefined

/** Who asked, as far as decisions go; undefined where nobody knew. */
function callerOf({ caller, proof, groups, scopes }: Recorded, ceilingOf: CeilingOf): Caller | undefined {
  if (caller === undefined || proof === undefined) return undefined
  const ceiling = scopes && ceilingOf(caller, scopes)
  return { name: caller, method: proof, ...(groups && { groups }), ...(ceiling && { scopes: ceiling }) }
}

/** The question that was asked then; undefined where too little is known of it. Its time is that of the entry. */
export function questionOf(entry: Recorded, ceilingOf: CeilingOf): Question | undefined {
  const caller = callerOf(entry, ceilingOf)
  const target = targetOf(entry)
  if (!caller || !target || entry.path === undefined) return undefined
  return { caller, target, method: entry.method, path: entry.path, at: Date.parse(entry.time) }
}

/** The same of a CONNECT; to `port`, where its own was not recorded. */
export function passageQuestionOf(entry: Recorded, port: number, ceilingOf: CeilingOf): PassageQuestion | undefined {
  const caller = callerOf(entry, ceilingOf)
  if (!caller || entry.host === undefined) return undefined
  return { caller, host: entry.host, port: entry.port ?? port, at: Date.parse(entry.time) }
}

/** Whether it came in at a door where the connection is named, and not its host. */
export function isReverse({ door }: Recorded): boolean {
  return door.startsWith('reverse')
}

function targetOf(entry: Recorded): Target | undefined {
  const { host, port, connection } = entry
  if (isReverse(entry)) return connection === undefined ? undefined : { kind: 'connection', name: connection }
  return host === undefined ? undefined : { kind: 'name', host, port }
}
