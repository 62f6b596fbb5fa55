import { Problem } from '../core/problem.ts'
import type { Secret } from '../core/secret.ts'
import { FileReference } from '../forms/network.ts'
import { type ClientAlgorithm, readClientKey } from '../oauth/client-auth/client-key.ts'
import { type References, SecretReference } from '../secrets/reference.ts'
import { faultOfPair } from '../wire/certificate-pair.ts'
import type { SettingsFault } from './fault.ts'
import type { ConnectionSettings, Settings } from './schema.ts'

interface Read extends References {
  /** What is not yet open is not yet judged. */
  isOpen(key: SecretReference): boolean
}

/** Keys and certificates by which we would prove nothing, as a client of an issuer or of an upstream. */
export function clientFaults({ connections }: Settings, references: Read): SettingsFault[] {
  return Object.entries(connections).flatMap(([name, connection]) => {
    const path = ['connections', name]
    const unfit = unfitKey([...path, 'credential'], connection, references)
    return unfit ?? pairFaults(connection, path, references)
  })
}

function unfitKey(path: readonly string[], { credential }: ConnectionSettings, references: Read) {
  const signing = signingOf(credential)
  if (!signing || !references.isOpen(signing.key)) return undefined
  const message = faultOfKey(references.secret(signing.key).current().secret, signing.alg)
  return message === undefined ? undefined : [{ path: [...path, ...signing.at], message }]
}

interface Signing {
  readonly at: readonly string[]
  readonly key: SecretReference
  readonly alg: ClientAlgorithm | undefined
}

/** The key that the client signs with to prove who it is. */
function signingOf(credential: ConnectionSettings['credential']): Signing | undefined {
  if (credential.kind === 'entra') return credential.key && { at: ['key'], key: credential.key, alg: 'PS256' }
  const clientAuth = 'clientAuth' in credential ? credential.clientAuth : undefined
  if (clientAuth?.kind !== 'private-key-jwt') return undefined
  return { at: ['clientAuth', 'key'], key: clientAuth.key, alg: clientAuth.alg }
}

function faultOfKey(key: Secret, alg: ClientAlgorithm | undefined): string | undefined {
  try {
    readClientKey(key, alg)
    return undefined
  } catch (error) {
    if (error instanceof Problem) return error.reason
    throw error
  }
}

/** One that has expired keeps nobody from starting: it is the other side that refuses it, and one connection that fails. */
function pairFaults(value: unknown, path: readonly PropertyKey[], references: Read): SettingsFault[] {
  if (typeof value !== 'object' || value === null) return []
  const parts = Object.entries(value).flatMap(([key, part]) => pairFaults(part, [...path, key], references))
  if (!isPair(value) || !references.isOpen(value.key)) return parts
  const fault = faultOfPair(references.file(value.certificate), references.secret(value.key).current().secret)
  return fault ? [...parts, { path: [...path, fault.of], message: fault.message }] : parts
}

function isPair(value: object): value is { readonly certificate: FileReference; readonly key: SecretReference } {
  const { certificate, key } = value as { certificate?: unknown; key?: unknown } // any object may be asked
  return certificate instanceof FileReference && key instanceof SecretReference
}
