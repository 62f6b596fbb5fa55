import { Secret } from '../core/secret.ts'
import { z } from '../forms/zod.ts'
import type { SecretKind } from './kind.ts'

const schema = z
  .strictObject(
    {
      env: z
        .string()
        // The message does not repeat what was written: it may be the secret itself.
        .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'use the name of an environment variable, as in { env: CRM_SECRET }')
        .meta({ description: 'name of an environment variable; read once, at start' }),
    },
    { error: () => 'use { env: NAME } and nothing beside it' },
  )
  .meta({ description: 'a secret in the environment of Sallyport' })

/** A secret in an environment variable. It never changes; other processes of the same user can read it, so prefer a file. */
export const env: SecretKind<typeof schema> = {
  schema,
  async open({ env: name }, { environment = process.env }) {
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined
    if (value === undefined)
      throw new Error(`the environment variable ${name} is not set: set it, or use { file: PATH }`)
    if (value === '')
      throw new Error(`the environment variable ${name} is empty: give it the secret, or use { file: PATH }`)
    const held = { secret: new Secret(value), version: 1 }
    return { current: () => held, onChange() {}, close() {} }
  },
}
