import { resolve } from 'node:path'
import { Secret } from '../core/secret.ts'
import { z } from '../forms/zod.ts'
import type { OpenSecret, SecretBase, SecretKind } from './kind.ts'
import { lookAt, stampAt } from './secret-file.ts'
import { type Look, Watch } from './watch.ts'

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
    const path = resolve(base.directory, settings.file)
    const look = await lookFor(path, base)
    if ('fault' in look) throw new Error(look.fault)
    return new FileSecret(path, look.value, base)
  },
}

async function lookFor(path: string, { mayBeMissing = false }: SecretBase): Promise<Look<Secret>> {
  const look = await lookAt(path)
  if (!('fault' in look)) return { stamp: look.stamp, value: look.secret }
  return mayBeMissing && look.isNone ? { stamp: look.stamp, value: new Secret('') } : look
}

class FileSecret implements OpenSecret {
  readonly #watch: Watch<Secret>

  constructor(path: string, secret: Secret, base: SecretBase) {
    const { pollMs, onFault } = base
    this.#watch = new Watch(
      secret,
      {
        look: () => lookFor(path, base),
        stamp: () => stampAt(path),
        isSame: (one, other) => one.equals(other),
        onFault: (fault) =>
          onFault?.(fault.startsWith(path) ? `${fault}. The secret read before stays in use` : `${path} ${fault}`),
      },
      pollMs,
    )
  }

  current(): { readonly secret: Secret; readonly version: number } {
    const { value, version } = this.#watch.current()
    return { secret: value, version }
  }

  get isFailing(): boolean {
    return this.#watch.isFailing
  }

  onChange(listener: () => void): void {
    this.#watch.onChange(listener)
  }

  close(): void {
    this.#watch.close()
  }
}
