import type { CredentialUsed } from '../audit/entry.ts'
import type { LongLived } from '../core/secret.ts'
import type { Credential } from '../credentials/credential.ts'
import type { Gate } from './gate.ts'
import type { Connection } from './snapshot.ts'

/** One token serves thousands of asks, and its fingerprint is the same for all of them. */
const known = new WeakMap<Credential['secret'], CredentialUsed>()

/** Names a credential for the audit without telling it. */
export function lineageOf(credential: Credential, { source }: Connection, gate: Gate): CredentialUsed {
  const { secret, version, behind, lineage } = credential
  const before = known.get(secret)
  if (before?.version === version) return before
  const fingerprint = secret.fingerprint(gate.fingerprintKey)
  const used = {
    source,
    version,
    fingerprint,
    secret: behind && nameAtVersion(behind, gate.fingerprintKey),
    ...(lineage && { subject: nameAtVersion(lineage.subject, gate.fingerprintKey) }),
    ...(lineage?.actsAs !== undefined && { actsAs: lineage.actsAs }),
  }
  known.set(secret, used)
  return used
}

/**
 * `NAME@VERSION`, the same after a restart: the store counts its versions; of a file or a variable it is 8 hex digits that
 * the value has under the audit's key, and that tell nothing of it.
 */
export function nameAtVersion({ name, secret, storedVersion }: LongLived, key: Buffer): string {
  return `${name}@${storedVersion ?? secret.fingerprint(key).slice(0, 8)}`
}
