import { isDeepStrictEqual } from 'node:util'
import type { Caller } from '../core/ask.ts'

/** By which settings each caller has proved itself, as long as what it began goes on. */
const proofs = new WeakMap<Caller, { readonly by: string; readonly settings: object }>()

/** Remembers that these settings, of the caller that they call `by`, have let it in. */
export function rememberProof(caller: Caller, by: string, settings: object): void {
  proofs.set(caller, { by, settings })
}

/**
 * Whether a caller would still be let in by the settings that did so: a name that stays, with another issuer or another
 * certificate behind it, is somebody else's now. Each settings object is compared once.
 */
export function proofIsAsBefore(callers: Readonly<Record<string, object>>): (caller: Caller) => boolean {
  const known = new WeakMap<object, boolean>()
  return function isAsBefore(caller) {
    const proof = proofs.get(caller)
    if (!proof) return true
    const { by, settings } = proof
    const now = Object.hasOwn(callers, by) ? callers[by] : undefined
    if (now === settings) return true
    const isSame = known.get(settings) ?? isDeepStrictEqual(now, settings)
    known.set(settings, isSame)
    return isSame
  }
}
