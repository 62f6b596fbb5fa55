import type { SettingsFault } from './fault.ts'
import type { ConnectionSettings } from './schema.ts'

/** What a credential and the way it is injected have against each other. */
export function injectionFaults(name: string, connection: ConnectionSettings): SettingsFault[] {
  return [...kindFaults(connection), ...bodyFaults(connection), ...scrubFaults(connection)].map(({ key, message }) => ({
    path: ['connections', name, key],
    message,
  }))
}

interface Fault {
  readonly key: string
  readonly message: string
}

function kindFaults({ credential, inject }: ConnectionSettings): Fault[] {
  const at = (key: string, message: string) => [{ key, message }]
  if (credential.kind === 'none') {
    return inject ? at('inject', 'leave it out: with credential kind none there is nothing to inject') : []
  }
  const isBound = 'dpop' in credential && credential.dpop !== undefined
  const isProven = inject?.kind === 'dpop'
  if (isBound && !isProven)
    return at('inject', 'use { kind: dpop }: a token of a source with dpop is worth nothing without its proofs')
  if (isProven && !isBound)
    return at('inject', 'add "dpop: true" to the credential: there is no key yet that could make proofs')
  return []
}

function bodyFaults({ inject, websocket }: ConnectionSettings): Fault[] {
  const isInBody = inject?.kind === 'placeholder' && ('json' in inject.in || 'form' in inject.in)
  if (!isInBody || !websocket) return []
  return [{ key: 'websocket', message: 'leave it out: a handshake has no body that could hold the placeholder' }]
}

function scrubFaults({ credential, scrubResponses, websocket }: ConnectionSettings): Fault[] {
  if (!scrubResponses) return []
  const at = (message: string) => [{ key: 'scrubResponses', message }]
  if (credential.kind === 'none') return at('leave it out: with credential kind none there is nothing to keep out')
  return websocket ? at('leave it out, or "websocket: true": nobody looks into the frames of a WebSocket') : []
}
