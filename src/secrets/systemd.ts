import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { z } from '../forms/zod.ts'
import type { SecretKind } from './kind.ts'
import { openSecretFile } from './watched-file.ts'

const schema = z
  .strictObject(
    {
      systemd: z
        .string()
        // The message does not repeat what was written: it may be the secret itself.
        .regex(
          /^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$/,
          'use the name of LoadCredential= or LoadCredentialEncrypted=, as in { systemd: crm }',
        )
        .meta({
          description: 'name of a credential that the unit of Sallyport loads, as in `LoadCredential=crm:PATH`',
        }),
    },
    { error: () => 'use { systemd: NAME } and nothing beside it' },
  )
  .meta({
    description:
      'a secret that systemd passes, from a file that Sallyport itself need not be able to read; a new one is there after a restart',
  })

/** A credential of systemd: a file in a directory of this service alone. @see systemd.exec(5), Credentials */
export const systemd: SecretKind<typeof schema> = {
  schema,
  async open({ systemd: name }, base) {
    const directory = directoryIn(base.environment ?? process.env)
    if (directory === undefined)
      throw new Error(
        `CREDENTIALS_DIRECTORY is not set: start it by systemd, with LoadCredential=${name}:PATH in the unit; elsewhere, set it to a directory with the file ${name}`,
      )
    return openSecretFile(resolve(directory, name), base, { isPassed: true })
  },
  hiddenFrom({ systemd: name }, environment) {
    const directory = directoryIn(environment)
    if (directory === undefined)
      return `systemd hands ${name} to the service alone; to look at it from here, set CREDENTIALS_DIRECTORY to a directory with the file ${name}`
    const path = resolve(directory, name)
    if (existsSync(path) || !existsSync(`${path}.cred`)) return undefined
    return `systemd hands ${name} to the service alone, and ${path}.cred is sealed; \`systemd-creds decrypt\` tells whether it can be opened`
  },
}

function directoryIn(environment: Readonly<Record<string, string | undefined>>): string | undefined {
  const directory = environment['CREDENTIALS_DIRECTORY']
  return directory?.startsWith('/') ? directory : undefined
}
