import type { PresentedKey } from '../core/ask.ts'
import type { HeldSecret } from '../core/secret.ts'
import { z } from '../forms/zod.ts'
import type { References } from '../secrets/reference.ts'
import { secretReference } from '../secrets/registry.ts'
import { type KeyEntry, KeyIndex } from './key-index.ts'
import type { CallerKind, Finding, Named } from './method.ts'

const schema = z
  .strictObject({
    kind: z.literal('api-key'),
    key: secretReference.optional().meta({ description: 'the key, by reference; use this or `digest`' }),
    digest: z
      .string()
      .regex(
        /^sha256:[0-9a-f]{64}$/,
        'use "sha256:" and 64 lower-case hex digits, as `printf %s KEY | sha256sum` prints them',
      )
      .optional()
      .meta({
        description:
          'SHA-256 of the key, so that this side does not hold it: `sha256:` and 64 hex digits; use this or `key`',
      }),
  })
  .refine((one) => (one.key === undefined) !== (one.digest === undefined), 'use exactly one of key and digest')
  .meta({ description: 'a key that Sallyport itself issued: worthless anywhere else' })

type Settings = z.infer<typeof schema>

/** A caller that shows a key: in Proxy-Authorization, or where the app would put the upstream's own key. */
export const apiKey: CallerKind<typeof schema> = {
  schema,
  proofIs: 'shown',
  isAskedAgain: true,
  faults(callers) {
    const seen = new Map<string, string>()
    return callers.flatMap(({ name, settings: { digest } }) => {
      const other = digest === undefined ? undefined : seen.get(digest)
      if (digest !== undefined) seen.set(digest, name)
      return other === undefined
        ? []
        : [{ caller: name, message: `use a key of its own: ${other} has the same digest` }]
    })
  },
  build(callers, { references }) {
    const keys = new Keys(callers.map((caller) => keyOf(caller, references)))
    return {
      kind: 'api-key',
      identify(evidence): Finding {
        if (evidence.unreadable) return 'wrong'
        if (evidence.keys.length === 0) return 'silent'
        // Two proofs at once may name two callers; guessing which was meant is how identities get confused.
        const [shown, ...others] = evidence.keys
        const caller = shown && others.length === 0 ? keys.find(shown)?.caller : undefined
        return caller === undefined ? 'wrong' : { caller }
      },
    }
  },
}

/** A key as it stands now. `held`: where it may change. */
interface CallerKey {
  readonly caller: string
  readonly held?: HeldSecret
  digest(): Buffer
}

function keyOf({ name: caller, settings }: Named<Settings>, references: References): CallerKey {
  if (settings.digest !== undefined) {
    const digest = Buffer.from(settings.digest.slice('sha256:'.length), 'hex')
    return { caller, digest: () => digest }
  }
  // The refinement above has seen to it that the other one is there.
  const held = references.secret(settings.key as NonNullable<Settings['key']>)
  return { caller, held, digest: () => held.current().secret.digest() }
}

/** An index that is made anew when one of the keys has changed: files are written while Sallyport runs. */
class Keys {
  readonly #keys: readonly CallerKey[]
  /** Those that may change. */
  readonly #held: readonly HeldSecret[]
  /** By place in `#held`. */
  #versions: readonly number[] = []
  #index: KeyIndex<KeyEntry>

  constructor(keys: readonly CallerKey[]) {
    this.#keys = keys
    this.#held = keys.flatMap(({ held }) => held ?? [])
    this.#index = this.#build()
  }

  find(shown: PresentedKey): KeyEntry | undefined {
    if (this.#held.some((held, at) => held.current().version !== this.#versions[at])) this.#index = this.#build()
    return this.#index.find(shown)
  }

  #build(): KeyIndex<KeyEntry> {
    this.#versions = this.#held.map((held) => held.current().version)
    return new KeyIndex(this.#keys.map(({ caller, digest }) => ({ caller, digest: digest() })))
  }
}
