import { timingSafeEqual } from 'node:crypto'
import type { PresentedKey } from '../core/ask.ts'
import { z } from '../forms/zod.ts'
import type { References } from '../secrets/reference.ts'
import { secretReference } from '../secrets/registry.ts'
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

interface Entry {
  readonly caller: string
  digest(): Buffer
}

/** A caller that shows a key: in Proxy-Authorization, or where the app would put the upstream's own key. */
export const apiKey: CallerKind<typeof schema> = {
  schema,
  proofIs: 'shown',
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
    const entries = callers.map((caller) => entryOf(caller, references))
    const byName = new Map(entries.map((entry) => [entry.caller, entry]))
    return {
      kind: 'api-key',
      identify(evidence): Finding {
        if (evidence.unreadable) return 'wrong'
        if (evidence.keys.length === 0) return 'silent'
        // Two proofs at once may name two callers; guessing which was meant is how identities get confused.
        const [shown, ...others] = evidence.keys
        const caller = shown && others.length === 0 ? find(shown, byName, entries) : undefined
        return caller === undefined ? 'wrong' : { caller }
      },
    }
  },
}

function entryOf({ name, settings }: Named<Settings>, references: References): Entry {
  if (settings.digest !== undefined) {
    const digest = Buffer.from(settings.digest.slice('sha256:'.length), 'hex')
    return { caller: name, digest: () => digest }
  }
  // The refinement above has seen to it that the other one is there.
  const held = references.secret(settings.key as NonNullable<Settings['key']>)
  let known = held.current()
  let digest = known.secret.digest()
  return {
    caller: name,
    digest() {
      const latest = held.current()
      if (latest.version !== known.version) {
        known = latest
        digest = latest.secret.digest()
      }
      return digest
    },
  }
}

/** With a name, that caller's key and no other. Without, every key is compared, so that time tells nothing of a match. */
function find(shown: PresentedKey, byName: ReadonlyMap<string, Entry>, entries: readonly Entry[]): string | undefined {
  const digest = shown.key.digest()
  if (shown.caller !== undefined) {
    const entry = byName.get(shown.caller)
    return entry && timingSafeEqual(entry.digest(), digest) ? entry.caller : undefined
  }
  const found = entries.filter((entry) => timingSafeEqual(entry.digest(), digest))
  // Two callers with one key: whichever was named would be a guess.
  return found.length === 1 ? found[0]?.caller : undefined
}
