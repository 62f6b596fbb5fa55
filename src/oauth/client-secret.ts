import type { HeldSecret } from '../core/secret.ts'
import { z } from '../forms/zod.ts'
import { type References, SecretReference } from '../secrets/reference.ts'
import { secretReference } from '../secrets/registry.ts'

/** The one to come is written when it is there: until then its file may be missing, or empty. */
const nextReference = secretReference.transform(({ settings }) => new SecretReference(settings, { mayBeMissing: true }))

/** A client secret, or two of them: the one in use, and the one that is to follow it. */
export const clientSecretSettings = z.union(
  [
    secretReference,
    z.strictObject({
      current: secretReference.meta({ description: 'the secret that is shown first' }),
      next: nextReference.meta({
        description:
          'the one to follow: shown when the issuer does not know the client by the first, and from then on; its file may be missing until then',
      }),
    }),
  ],
  {
    error: () =>
      'use { file: PATH }, { env: NAME }, { store: NAME } or { systemd: NAME }, or { current: ..., next: ... } with one of these each; a secret itself never stands in a settings file',
  },
)

/** Settings of a client secret. */
export type ClientSecretSettings = z.infer<typeof clientSecretSettings>

/** A secret that is shown to the issuer, and where it is kept. */
export interface Slot {
  readonly reference: SecretReference
  readonly held: HeldSecret
}

/** The secrets that settings mean, opened. */
export interface Slots {
  readonly current: Slot
  readonly next: Slot | undefined
}

/** Opens nothing: everything was opened at start. */
export function slotsOf(settings: ClientSecretSettings, { secret }: Pick<References, 'secret'>): Slots {
  const slot = (reference: SecretReference) => ({ reference, held: secret(reference) })
  return settings instanceof SecretReference
    ? { current: slot(settings), next: undefined }
    : { current: slot(settings.current), next: slot(settings.next) }
}
