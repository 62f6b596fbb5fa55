import { resolve } from 'node:path'
import type { Secret } from '../core/secret.ts'
import { z } from '../forms/zod.ts'
import type { OpenSecret, SecretBase, SecretKind } from './kind.ts'
import { type Look, lookAt, stampAt } from './secret-file.ts'

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
    const look = await lookAt(path)
    if ('fault' in look) throw new Error(look.fault)
    return new FileSecret(path, look.secret, base)
  },
}

/**
 * Polls, because a rename, a symlink swap and a write in place each look different to inotify, and a mount may send no
 * event at all. What differs from the value in use is believed when a second look finds the very same: a file may be
 * empty, or half-written, at the first.
 */
class FileSecret implements OpenSecret {
  readonly #path: string
  readonly #base: SecretBase
  readonly #listeners: (() => void)[] = []
  #held: { readonly secret: Secret; readonly version: number }
  /** The state that was last acted upon. Unset at first, so that what was read at start is confirmed like any other. */
  #settled: string | undefined
  #candidate: Look | undefined
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(path: string, secret: Secret, base: SecretBase) {
    this.#path = path
    this.#base = base
    this.#held = { secret, version: 1 }
    this.#schedule()
  }

  current(): { readonly secret: Secret; readonly version: number } {
    return this.#held
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  #schedule(): void {
    if (!this.#isClosed) this.#timer = setTimeout(() => void this.#poll(), this.#base.pollMs ?? 1000).unref()
  }

  async #poll(): Promise<void> {
    if (this.#settled === undefined || (await stampAt(this.#path)) !== this.#settled) await this.#lookAgain()
    this.#schedule()
  }

  async #lookAgain(): Promise<void> {
    const look = await lookAt(this.#path)
    if (this.#isClosed) return
    const isConfirmed = this.#candidate !== undefined && agree(look, this.#candidate)
    this.#candidate = look
    if (isConfirmed && look.stamp !== this.#settled) this.#settle(look)
  }

  #settle(look: Look): void {
    this.#settled = look.stamp
    if ('fault' in look) this.#report(`${look.fault}. The secret read before stays in use`)
    else if (!look.secret.equals(this.#held.secret)) this.#accept(look.secret)
  }

  #accept(secret: Secret): void {
    this.#held = { secret, version: this.#held.version + 1 }
    for (const listener of this.#listeners) this.#tell(listener)
  }

  #tell(listener: () => void): void {
    try {
      listener()
    } catch {
      this.#report(`${this.#path} has changed, and somebody who was to be told failed`)
    }
  }

  #report(message: string): void {
    this.#base.onFault?.(message)
  }
}

function agree(one: Look, other: Look): boolean {
  if (one.stamp !== other.stamp) return false
  if ('fault' in one || 'fault' in other) return 'fault' in one && 'fault' in other && one.fault === other.fault
  return one.secret.equals(other.secret)
}
