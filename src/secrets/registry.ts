import { z } from '../forms/zod.ts'
import { env } from './env.ts'
import { file } from './file.ts'
import { SecretReference } from './reference.ts'
import { store } from './store.ts'
import { systemd } from './systemd.ts'

/** Every kind of place where a secret may be kept, by the key that its settings have. */
export const secretKinds = { file, env, store, systemd }

/** A secret in settings: never the value, always where it is kept. The message repeats nothing of what was written. */
export const secretReference = z
  .union(
    Object.values(secretKinds).map((kind) => kind.schema),
    {
      error: () =>
        'use { file: PATH }, { env: NAME }, { store: NAME } or { systemd: NAME }; a secret itself never stands in a settings file',
    },
  )
  .transform((settings) => new SecretReference(settings))
  .meta({ id: 'SecretReference', description: 'where a secret is kept' })
