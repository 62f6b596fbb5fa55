import { stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { ConnectionFacts, SecretFacts } from '../audit/inventory.ts'
import { nameOfSecret, SecretReference } from '../secrets/reference.ts'
import type { Loaded } from './load.ts'
import { referencesIn } from './open.ts'

/** The connections of the settings, each with the long-lived secrets behind it. `isOff`: by a switch, besides the settings. */
export function connectionFacts({ settings }: Loaded, isOff: (connection: string) => boolean): ConnectionFacts[] {
  return Object.entries(settings.connections).map(([name, { credential, disabled }]) => {
    const secrets = [...new Set(secretsIn(credential).map(nameOfSecret))]
    return { name, source: credential.kind, secrets, isDisabled: disabled || isOff(name) }
  })
}

/**
 * Since when the secrets of connections are what they are, as far as their files tell; those of the store are the store's
 * to tell, and of a variable nobody knows.
 */
export async function secretFacts({ settings, file: place }: Loaded): Promise<SecretFacts[]> {
  const references = secretsIn(settings.connections)
  return Promise.all(
    references.map(async (reference) => {
      const { file } = reference.settings
      const path = typeof file === 'string' ? resolve(dirname(place), file) : undefined
      const found = path === undefined ? undefined : await stat(path).catch(() => undefined)
      return { name: nameOfSecret(reference), since: found?.mtimeMs }
    }),
  )
}

function secretsIn(value: unknown): SecretReference[] {
  return referencesIn(value).flatMap(({ reference }) => (reference instanceof SecretReference ? [reference] : []))
}
