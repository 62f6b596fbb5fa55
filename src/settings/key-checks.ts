import { faultOfKey } from '../oauth/key-fit.ts'
import type { SigningAlgorithm } from '../oauth/sign-jwt.ts'
import type { References, SecretReference } from '../secrets/reference.ts'
import type { SettingsFault } from './fault.ts'
import type { ConnectionSettings, Settings } from './schema.ts'

interface Read extends Pick<References, 'secret'> {
  /** What is not yet open is not yet judged. */
  isOpen(key: SecretReference): boolean
}

/** Keys that credentials are to sign with, and cannot. */
export function keyFaults({ connections }: Settings, references: Read): SettingsFault[] {
  return Object.entries(connections).flatMap(([name, { credential }]) => {
    const signing = signingOf(credential)
    if (!signing || !references.isOpen(signing.key)) return []
    const message = faultOfKey(signing.alg, references.secret(signing.key).current().secret)
    return message === undefined ? [] : [{ path: ['connections', name, 'credential', 'key'], message }]
  })
}

function signingOf(
  credential: ConnectionSettings['credential'],
): { readonly alg: SigningAlgorithm; readonly key: SecretReference } | undefined {
  if (credential.kind === 'signed-jwt') return credential
  return credential.kind === 'github-app' ? { alg: 'RS256', key: credential.key } : undefined
}
