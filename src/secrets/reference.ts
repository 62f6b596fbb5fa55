import type { HeldSecret } from '../core/secret.ts'
import type { FileReference } from '../forms/network.ts'

/**
 * Where a secret comes from, as a settings file says it: the settings of one kind, `file` or `env`. The value is opened
 * at start, and looked up by this very object from then on.
 */
export class SecretReference {
  readonly settings: Readonly<Record<string, unknown>>

  constructor(settings: Readonly<Record<string, unknown>>) {
    this.settings = settings
  }
}

/** What the kinds of all rooms are given to turn references into what they refer to. Everything was opened at start. */
export interface References {
  secret(reference: SecretReference): HeldSecret
  /** The text of the file, as it stands now. */
  file(reference: FileReference): string
}
