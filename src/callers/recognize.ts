import type { Caller, Evidence } from '../core/ask.ts'
import type { z } from '../forms/zod.ts'
import type { Identify } from './identify.ts'
import type { CallerKind } from './method.ts'
import { proofIsAsBefore } from './proof.ts'
import { type CallerSettings, callerKinds } from './registry.ts'

/**
 * Who it is by now that proved itself a while ago, with the same evidence; undefined when it is nobody any more. Asked of
 * everything under way at each change of the policy, so it answers at once.
 */
export type Recognize = (caller: Caller, evidence: Evidence) => Caller | undefined

const kinds: Readonly<Record<string, CallerKind<z.ZodObject>>> = callerKinds

/**
 * A proof that can be looked up is looked up again: a key that was taken back, or has run out, ends what it began. A proof
 * that takes time was good when it was shown, and may have run out since without harm; what counts is that its caller
 * still exists, and is to be proved by what proved it.
 */
export function buildRecognize(identify: Identify, callers: Readonly<Record<string, CallerSettings>>): Recognize {
  const isAsBefore = proofIsAsBefore(callers)
  return function recognize(caller, evidence) {
    const kind = kinds[caller.method]
    if (!kind?.isAskedAgain) return isNamed(caller, kind, callers) && isAsBefore(caller) ? caller : undefined
    const found = identify(evidence, true)
    return !(found instanceof Promise) && found.name === caller.name ? found : undefined
  }
}

function isNamed(
  { name, method }: Caller,
  kind: CallerKind<z.ZodObject> | undefined,
  callers: Readonly<Record<string, CallerSettings>>,
): boolean {
  if (Object.hasOwn(callers, name) && callers[name]?.kind === method) return true
  return Object.values(callers).some((settings) => settings.kind === method && kind?.mayName?.(name, settings))
}
