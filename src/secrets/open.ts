import type { OpenSecret, SecretBase } from './kind.ts'
import type { SecretReference } from './reference.ts'
import { secretKinds } from './registry.ts'

export type { OpenSecret } from './kind.ts'

/**
 * Reads what a reference refers to, and keeps it current until it is closed.
 * @throws Error in words, with a remedy; it names the place and never the value
 */
export async function openSecret({ settings, mayBeMissing }: SecretReference, base: SecretBase): Promise<OpenSecret> {
  // The schema union has matched this key, so the settings are those of its kind.
  return openerOf(settings).open(settings as never, { ...base, mayBeMissing })
}

/** Why whoever only looks at settings cannot open this one from where it stands, in words; undefined where it can be tried. */
export function whyHidden({ settings }: SecretReference, environment: NodeJS.ProcessEnv): string | undefined {
  // As above.
  return openerOf(settings).hiddenFrom?.(settings as never, environment)
}

interface Opener {
  open(settings: never, base: SecretBase): Promise<OpenSecret>
  hiddenFrom?(settings: never, environment: NodeJS.ProcessEnv): string | undefined
}

function openerOf(settings: SecretReference['settings']): Opener {
  const kind = Object.entries<Opener>(secretKinds).find(([key]) => Object.hasOwn(settings, key))?.[1]
  if (!kind) throw new Error('a reference of no kind: the schema let it through')
  return kind
}
