import { issuerSettings } from '../credentials/registry.ts'
import type { SettingsFault } from './fault.ts'
import type { ConnectionSettings } from './schema.ts'

/** What a credential and the way it is injected have against each other. */
export function injectionFaults(name: string, { credential, inject }: ConnectionSettings): SettingsFault[] {
  const at = (key: string, message: string) => [{ path: ['connections', name, key], message }]
  if (credential.kind === 'none') {
    return inject ? at('inject', 'leave it out: with credential kind none there is nothing to inject') : []
  }
  const isBound = issuerSettings(credential)?.dpop !== undefined
  const isProven = inject?.kind === 'dpop'
  if (isBound && !isProven)
    return at('inject', 'use { kind: dpop }: a token of a source with dpop is worth nothing without its proofs')
  if (isProven && !isBound)
    return at('inject', 'add "dpop: true" to the credential: there is no key yet that could make proofs')
  return []
}
