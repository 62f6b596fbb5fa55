import { keepsTokens } from '../credentials/registry.ts'
import { issuersOf } from './caller-checks.ts'
import type { SettingsFault } from './fault.ts'
import type { ConnectionSettings, Settings } from './schema.ts'

/** What a source that keeps refresh tokens needs besides its own settings. */
export function loginFaults(settings: Settings): SettingsFault[] {
  return Object.entries(settings.connections).flatMap(([name, { credential }]) => {
    if (!keepsTokens(credential)) return []
    const messages = [
      ...storeFaults(credential.kind, settings),
      ...boundFaults(credential),
      ...(credential.kind === 'authorization-code' ? deskFaults(credential, settings) : []),
    ]
    return messages.map((message) => ({ path: ['connections', name, 'credential'], message }))
  })
}

function storeFaults(kind: string, { store }: Settings): string[] {
  const why = `${kind} keeps refresh tokens there, sealed`
  if (!store) return [`add store: "store: { kind: sqlite, path: FILE, key: { file: KEY } }"; ${why}`]
  return store.key ? [] : [`add "key: { file: KEY }" to "store": ${why}`]
}

/** @see RFC 9449 section 5 */
function boundFaults(credential: ConnectionSettings['credential']): string[] {
  const isBound = 'dpop' in credential && credential.dpop !== undefined && credential.clientAuth.kind === 'none'
  return isBound
    ? ['leave dpop out, or use another clientAuth than none: the refresh token would end with the process']
    : []
}

type Source = Extract<ConnectionSettings['credential'], { kind: 'authorization-code' }>

function deskFaults({ identity }: Source, { admin, callers }: Settings): string[] {
  const faults: string[] = []
  if (!admin) faults.push('add "admin: { listen: 127.0.0.1:PORT }": people who have consented come back to it')
  if (admin?.listen.startsWith('unix:') && admin.url === undefined)
    faults.push('add "url" to "admin", where browsers reach it: people who have consented come back there')
  if (identity === 'shared' && admin && !hasAdmin(admin))
    faults.push('add "operators: { NAME: { role: admin, proof: ... } }" to "admin": an operator begins a shared login')
  if (typeof identity === 'object') faults.push(...claimFaults(callers))
  return faults
}

/** Without operators there is somebody at a socket alone. */
function hasAdmin({ listen, operators }: NonNullable<Settings['admin']>): boolean {
  const roles = Object.values(operators).map(({ role }) => role)
  return roles.length === 0 ? listen.startsWith('unix:') : roles.includes('admin')
}

/** The same text may be somebody else at another issuer: "sub: 7" of two is two people. */
function claimFaults(callers: Settings['callers']): string[] {
  const issuers = issuersOf(callers)
  if (issuers.size === 0) return ['use per-caller: no caller shows a token that could have a claim']
  return issuers.size > 1 ? ['use per-caller: the same claim of two issuers is not the same person'] : []
}
