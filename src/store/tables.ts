import type { AuditKeys } from './audit-rows.ts'

/** The tables, as queries see them. Times in ms since the epoch; what is absent is null. */
export interface Tables {
  /** One row. Whoever changes holdings or secrets locks it first, so `value` counts in the order of commits. */
  revision: { id: number; value: number; kept_from: number }
  /** What each revision touched, so that others read that and not everything; complete above `kept_from`. */
  changes: { revision: number; kind: Touched; key: string }
  callers: { name: string; created_at: number; created_by: string }
  caller_keys: { id: string; caller: string; digest: string; created_at: number; expires_at: number | null }
  grants: GrantRow
  switches: { connection: string; disabled_at: number; disabled_by: string; reason: string | null }
  secrets: SecretRow
  logins: LoginRow
  audit: AuditRow
}

/** What a change can be about. Keys: the name of a caller, id of a grant, name of a connection, name of a secret, id of a login. */
export type Touched = 'caller' | 'grant' | 'switch' | 'secret' | 'login'

/** One of `caller` and `group` is null. `rules`: JSON. */
export interface GrantRow {
  id: string
  caller: string | null
  group: string | null
  connection: string
  rules: string
  until: number | null
  created_at: number
  created_by: string
}

/** `sealed` and `key_id` are null once another version is in use: only that there was one is kept. */
export interface SecretRow {
  name: string
  version: number
  sealed: string | null
  key_id: string | null
  created_at: number
  created_by: string
}

/**
 * `sealed` and `key_id` are null once the authorization server takes it no more. `lease`: who is about to refresh it, for
 * `lease_ms` at most; `tries`: how often it was shown without anybody having seen what came of it.
 */
export interface LoginRow {
  id: string
  connection: string
  identity: string
  version: number
  sealed: string | null
  key_id: string | null
  lease: string | null
  lease_ms: number
  tries: number
  expires_at: number | null
  created_at: number
  created_by: string
}

/** One audit record, and what it is found by. */
export interface AuditRow {
  instance: string
  run: string
  seq: number
  hash: string
  line: string
  time: number
  kind: AuditKeys['kind']
  caller: string | null
  connection: string | null
  grant: string | null
  host: string | null
  code: string | null
  fingerprint: string | null
  secret: string | null
}
