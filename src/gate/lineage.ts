import type { CredentialUsed } from '../audit/entry.ts'
import type { Credential } from '../credentials/credential.ts'
import type { Connection, Gate } from './snapshot.ts'

/** One token serves thousands of asks, and its fingerprint is the same for all of them. */
const known = new WeakMap<Credential['secret'], CredentialUsed>()

/** Names a credential for the audit without telling it. */
export function lineageOf({ secret, version }: Credential, { source }: Connection, gate: Gate): CredentialUsed {
  const before = known.get(secret)
  if (before?.version === version) return before
  const used = { source, version, fingerprint: secret.fingerprint(gate.fingerprintKey) }
  known.set(secret, used)
  return used
}
