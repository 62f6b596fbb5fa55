import type { HeldSecret, LongLived } from '../core/secret.ts'
import type { FileReference } from '../forms/network.ts'

/**
 * Where a secret comes from, as a settings file says it: the settings of one kind, `file`, `env`, `store` or `systemd`. The value is opened
 * at start, and looked up by this very object from then on.
 */
export class SecretReference {
  readonly settings: Readonly<Record<string, unknown>>
  /** A file that is not there, or empty, is the empty secret until it is. */
  readonly mayBeMissing: boolean

  constructor(settings: Readonly<Record<string, unknown>>, { mayBeMissing = false } = {}) {
    this.settings = settings
    this.mayBeMissing = mayBeMissing
  }
}

/** What the kinds of all rooms are given to turn references into what they refer to. Everything was opened at start. */
export interface References {
  secret(reference: SecretReference): HeldSecret
  /** The text of the file, as it stands now. */
  file(reference: FileReference): string
}

/** What the audit calls the secret of a reference: its name in the store, or `file:PATH`, `env:NAME`, `systemd:NAME`. */
export function nameOfSecret({ settings }: SecretReference): string {
  const [[kind, place] = ['', '']] = Object.entries(settings)
  return kind === 'store' ? String(place) : `${kind}:${String(place)}`
}

/** The secret that a reference means now, as the audit names it. */
export function longLivedOf(reference: SecretReference, held: HeldSecret): LongLived {
  const { secret, version } = held.current()
  const storedVersion = Object.hasOwn(reference.settings, 'store') ? version : undefined
  return { name: nameOfSecret(reference), secret, storedVersion }
}
