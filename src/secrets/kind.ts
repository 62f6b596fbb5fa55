import type { HeldSecret, Secret } from '../core/secret.ts'
import type { z } from '../forms/zod.ts'

/** A secret in use, until `close`. */
export interface OpenSecret extends HeldSecret {
  /** Calls the listener after each change of the value, when `current()` already gives the new one. */
  onChange(listener: () => void): void
  /** Stops looking for changes; `current()` goes on giving the last value. Idempotent. */
  close(): void
  /** Whether what is there now cannot be used, and the value before it is. Absent where that cannot be. */
  readonly isFailing?: boolean
}

/** Secrets that the store keeps, as references need them. */
export interface StoredSecrets {
  /** The version in use. @throws Error in words */
  open(name: string): Promise<{ readonly secret: Secret; readonly version: number }>
  /** Called with the name after each change of a secret. Returns what ends the calls. */
  onChange(listener: (name: string) => void): () => void
}

/** What a kind may need beside its own settings. */
export interface SecretBase {
  /** Where relative paths start: the directory of the settings file. Absolute. */
  readonly directory: string
  /** How often a file is looked at; ms, 1000 without it. A change is taken at the second look that agrees. */
  readonly pollMs?: number | undefined
  /** Told, once for each cause, why the last good value is kept. The message holds no secret. */
  readonly onFault?: ((message: string) => void) | undefined
  /** A file that is not there, or empty, is the empty secret until it is; other kinds have to be there. */
  readonly mayBeMissing?: boolean | undefined
  /** Absent where there is no store. */
  readonly stored?: StoredSecrets | undefined
  /** `process.env` without it. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined
}

/** One kind of place where a secret is kept. The one key of its schema is its name in the registry. */
export interface SecretKind<S extends z.ZodObject> {
  readonly schema: S
  /** @throws Error in words, with a remedy; it names the place and never the value */
  open(settings: z.infer<S>, base: SecretBase): Promise<OpenSecret>
  /**
   * Why a command in a shell cannot have it although Sallyport may, in words that follow its place; undefined where it can. Absent:
   * it always can.
   */
  hiddenFrom?(settings: z.infer<S>, environment: NodeJS.ProcessEnv): string | undefined
}
