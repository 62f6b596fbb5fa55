import type { Secret } from '../core/secret.ts'
import { z } from '../forms/zod.ts'
import type { OpenSecret, SecretBase, SecretKind, StoredSecrets } from './kind.ts'

const schema = z
  .strictObject(
    {
      store: z
        .string()
        .regex(
          /^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$/,
          'use the name of a secret in the store, as in { store: crm }, of letters, digits, ".", "_", "@" and "-"',
        )
        .meta({ description: 'name of a secret in the store, where `sallyport secret set NAME` has put it' }),
    },
    { error: () => 'use { store: NAME } and nothing beside it' },
  )
  .meta({ description: 'a secret in the store, sealed under its key; a new version is noticed' })

/** A secret in the store. A new version is taken within a second, on whichever instance it was set. */
export const store: SecretKind<typeof schema> = {
  schema,
  async open({ store: name }, { stored, onFault }) {
    if (!stored)
      throw new Error(
        'there is no store open here: use { file: PATH } or { env: NAME }, or add "store" to the settings',
      )
    const secret = new StoreSecret(name, stored, onFault)
    await secret.read()
    return secret
  },
}

class StoreSecret implements OpenSecret {
  readonly #name: string
  readonly #stored: StoredSecrets
  readonly #onFault: SecretBase['onFault']
  readonly #listeners: (() => void)[] = []
  readonly #stop: () => void
  #held: { readonly secret: Secret; readonly version: number } | undefined

  constructor(name: string, stored: StoredSecrets, onFault: SecretBase['onFault']) {
    this.#name = name
    this.#stored = stored
    this.#onFault = onFault
    // Before the first reading: a version that comes in between is read again, and none is missed.
    this.#stop = stored.onChange((changed) => {
      if (changed === name) void this.#readAgain()
    })
  }

  current(): { readonly secret: Secret; readonly version: number } {
    if (!this.#held) throw new Error(`the secret ${this.#name} was not read yet`)
    return this.#held
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  close(): void {
    this.#stop()
  }

  /** @throws StoreError in words */
  async read(): Promise<void> {
    try {
      this.#take(await this.#stored.open(this.#name))
    } catch (error) {
      if (!this.#held) this.close()
      throw error
    }
  }

  async #readAgain(): Promise<void> {
    try {
      await this.read()
    } catch (error) {
      const words = error instanceof Error ? error.message : 'the store does not answer'
      this.#onFault?.(`${words}. The secret read before stays in use`)
    }
  }

  /** Readings overlap, and an older one may come last. */
  #take(found: { readonly secret: Secret; readonly version: number }): void {
    const before = this.#held
    if (before && before.version >= found.version) return
    this.#held = found
    if (before) for (const listener of this.#listeners) this.#tell(listener)
  }

  #tell(listener: () => void): void {
    try {
      listener()
    } catch {
      this.#onFault?.(`the secret ${this.#name} in the store has changed, and somebody who was to be told failed`)
    }
  }
}
