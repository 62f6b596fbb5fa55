import { Problem } from '../core/problem.ts'
import type { Secret } from '../core/secret.ts'
import { readServiceAccount } from '../credentials/google/service-account.ts'
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
    const { setting = 'key', faultOf = (secret) => faultOfKey(signing.alg, secret) } = signing
    const message = faultOf(references.secret(signing.key).current().secret)
    return message === undefined ? [] : [{ path: ['connections', name, 'credential', setting], message }]
  })
}

interface Signing {
  readonly alg: SigningAlgorithm
  readonly key: SecretReference
  /** Where it is said, unless as `key`. */
  readonly setting?: string
  /** For a secret that is more than a key. */
  readonly faultOf?: (secret: Secret) => string | undefined
}

function signingOf(credential: ConnectionSettings['credential']): Signing | undefined {
  if (credential.kind === 'signed-jwt') return credential
  if (credential.kind === 'jwt-bearer') return signingOfAssertion(credential)
  return credential.kind === 'github-app' ? { alg: 'RS256', key: credential.key } : undefined
}

type JwtBearer = Extract<ConnectionSettings['credential'], { kind: 'jwt-bearer' }>

function signingOfAssertion({ assertion: { alg }, key, serviceAccount, tokenEndpoint }: JwtBearer) {
  if (!serviceAccount) return key && { alg, key }
  const faultOf = (secret: Secret) => faultOfAccount(secret, { alg, tokenEndpoint })
  return { alg, key: serviceAccount, setting: 'serviceAccount', faultOf }
}

interface Expected {
  readonly alg: SigningAlgorithm
  readonly tokenEndpoint: string | undefined
}

function faultOfAccount(secret: Secret, { alg, tokenEndpoint }: Expected): string | undefined {
  try {
    return faultOfKey(alg, readServiceAccount(secret, tokenEndpoint).key)
  } catch (error) {
    if (error instanceof Problem) return error.reason
    throw error
  }
}
