import type { Caller, Evidence } from '../core/ask.ts'
import { kindUnion } from '../forms/kind.ts'
import type { z } from '../forms/zod.ts'
import type { References } from '../secrets/reference.ts'
import { apiKey } from './api-key.ts'
import type { CallerKind, CallerMethod, Named } from './method.ts'
import { socket } from './socket.ts'
import { unixPeer } from './unix-peer.ts'

/** Every way to prove who asks, in the order they are asked: a proof that was shown beats where the caller stands. */
export const callerKinds = {
  'api-key': apiKey,
  socket,
  'unix-peer': unixPeer,
}

/** Settings of one caller. */
export const callerSettings = kindUnion(callerKinds, 'Caller')
export type CallerSettings = z.infer<typeof callerSettings>

/** Who asks; undefined: nobody known. */
export type Identify = (evidence: Evidence) => Caller | undefined

/** What is wrong with callers taken together. */
export function faultsOfCallers(callers: Readonly<Record<string, CallerSettings>>) {
  return eachKind(callers, (kind, named) => [...(kind.faults?.(named) ?? [])]).flat()
}

/** Builds one method for each kind in use, and the one question put to all of them. */
export function buildIdentify(callers: Readonly<Record<string, CallerSettings>>, references: References): Identify {
  const methods = eachKind(callers, (kind, named) => kind.build(named, references))
  return function identify(evidence) {
    return ask(methods, evidence)
  }
}

function ask(methods: readonly CallerMethod[], evidence: Evidence): Caller | undefined {
  // A Proxy-Authorization is meant for us alone. Where no method reads keys, or it proves nobody, falling through to a
  // weaker identity would answer a question the caller did not ask.
  if (evidence.keysAre === 'certain' && !methods.some(({ kind }) => kind === 'api-key') && showsKey(evidence))
    return undefined
  for (const method of methods) {
    const finding = method.identify(evidence)
    if (typeof finding === 'object') return { name: finding.caller, method: method.kind }
    if (finding === 'wrong' && evidence.keysAre === 'certain') return undefined
  }
  return undefined
}

function showsKey({ keys, unreadable }: Evidence): boolean {
  return keys.length > 0 || unreadable === true
}

function eachKind<T>(
  callers: Readonly<Record<string, CallerSettings>>,
  visit: (kind: CallerKind<z.ZodObject>, named: readonly Named<never>[]) => T,
): T[] {
  return Object.entries(callerKinds).flatMap(([name, kind]) => {
    const named = Object.entries(callers)
      .filter(([, settings]) => settings.kind === name)
      .map(([caller, settings]) => ({ name: caller, settings }))
    // Each kind gets only settings that carry its own `kind`: the filter above is the proof.
    return named.length === 0 ? [] : [visit(kind, named as unknown as Named<never>[])]
  })
}
