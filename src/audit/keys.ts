import type { AuditKeys, AuditKind } from '../core/audit-line.ts'
import type { AuditRecord } from './record.ts'

/** A record as it stands in a line: what it holds has been through JSON, and may be of another version. */
export interface ReadRecord {
  readonly kind: AuditKind
  readonly body: Readonly<Record<string, unknown>>
}

/** What a record is found by. */
export function keysOf(record: AuditRecord | ReadRecord): AuditKeys {
  const { kind } = record
  // Both are looked at in the same way, field by field.
  const body = record.body as Readonly<Record<string, unknown>>
  const time = Date.parse(text(body['time']) ?? '')
  if (kind === 'ask') return { time, kind, ...keysOfAsk(body) }
  if (kind === 'change') return { time, kind, ...keysOfChange(body) }
  return { time, kind }
}

type Found = Omit<AuditKeys, 'time' | 'kind'>

function keysOfAsk(body: Readonly<Record<string, unknown>>): Found {
  const credential = fieldsOf(body['credential'])
  return {
    caller: text(body['caller']),
    connection: text(body['connection']),
    grant: text(body['grant']),
    host: text(body['host']),
    code: text(body['code']),
    fingerprint: text(credential['fingerprint']),
    secret: text(credential['secret']),
  }
}

/** A grant that was given or taken is found by whom and what it was for as well. */
function keysOfChange({ action, subject, before, after, code }: Readonly<Record<string, unknown>>): Found {
  const [about = ''] = (text(action) ?? '').split('.')
  const state = fieldsOf(after ?? before)
  const named = (key: string) => (about === key ? text(subject) : undefined)
  return {
    caller: named('caller') ?? text(state['caller']) ?? text(fieldsOf(state['holder'])['caller']),
    connection: named('connection') ?? text(state['connection']),
    grant: named('grant'),
    code: text(code),
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
