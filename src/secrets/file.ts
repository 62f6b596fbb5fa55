import { resolve } from 'node:path'
import { z } from '../forms/zod.ts'
import type { SecretKind } from './kind.ts'
import { openSecretFile } from './watched-file.ts'

const schema = z
  .strictObject(
    {
      file: z.string().min(1, 'use the path of a file, as in { file: secrets/crm }').meta({
        description: 'path of a file that holds the secret alone; a relative path starts at the settings file',
      }),
    },
    { error: () => 'use { file: PATH } and nothing beside it' },
  )
  .meta({
    description:
      'a secret in a file that only Sallyport can read; one final newline is cut off, and a change is noticed',
  })

/** A secret in a file, read again when that changes: by rename, in place, or by a swap of the Kubernetes `..data` link. */
export const file: SecretKind<typeof schema> = {
  schema,
  async open(settings, base) {
    return openSecretFile(resolve(base.directory, settings.file), base)
  },
}
