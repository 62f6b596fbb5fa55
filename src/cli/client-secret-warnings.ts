import { Secret } from '../core/secret.ts'
import { faultOfSecretText } from '../oauth/client-auth/secret-text.ts'
import { type References, SecretReference } from '../secrets/reference.ts'
import type { Loaded } from '../settings/load.ts'
import { type Found, referencesIn, whyUnseen } from '../settings/open.ts'

interface Place {
  readonly loaded: Loaded
  readonly env: NodeJS.ProcessEnv
}

/** Client secrets that can be read, and yet cannot be shown to an issuer: as `file:line:col path: why`. */
export function clientSecretWarnings({ loaded, env }: Place, references: References): readonly string[] {
  const found = Object.entries(loaded.settings.connections).flatMap(([name, { credential }]) =>
    'clientSecret' in credential
      ? referencesIn(credential.clientSecret, ['connections', name, 'credential', 'clientSecret'])
      : [],
  )
  const seen = found.filter((one) => whyUnseen(one, loaded, env) === undefined)
  return loaded.locateAll(
    seen.flatMap((one) => {
      const message = faultOf(one, references)
      return message === undefined ? [] : [{ path: one.path, message }]
    }),
  )
}

/** One that is to follow may still be empty. */
function faultOf({ reference }: Found, references: References): string | undefined {
  if (!(reference instanceof SecretReference)) return undefined
  const { secret } = references.secret(reference).current()
  return reference.mayBeMissing && secret.equals(NOTHING) ? undefined : faultOfSecretText(secret)
}

const NOTHING = new Secret('')
