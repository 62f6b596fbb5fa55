import { Secret } from '../core/secret.ts'
import type { OpenSecret, SecretBase } from './kind.ts'
import { lookAt, type Placing, stampAt } from './secret-file.ts'
import { type Look, Watch } from './watch.ts'

type Wish = SecretBase & Placing

/**
 * A secret in the file at this absolute path, read again when that changes.
 * @throws Error in words, with a remedy; it names the path and never the value
 */
export async function openSecretFile(path: string, base: SecretBase, placing: Placing = {}): Promise<OpenSecret> {
  const wish = { ...base, ...placing }
  const look = await lookFor(path, wish)
  if ('fault' in look) throw new Error(look.fault)
  return new FileSecret(path, look.value, wish)
}

async function lookFor(path: string, { mayBeMissing = false, ...place }: Wish): Promise<Look<Secret>> {
  const look = await lookAt(path, place)
  if (!('fault' in look)) return { stamp: look.stamp, value: look.secret }
  return mayBeMissing && look.isNone ? { stamp: look.stamp, value: new Secret('') } : look
}

class FileSecret implements OpenSecret {
  readonly #watch: Watch<Secret>

  constructor(path: string, secret: Secret, base: Wish) {
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
