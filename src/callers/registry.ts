import type { Caller, Evidence } from '../core/ask.ts'
import type { ProblemCode } from '../core/problem.ts'
import { kindUnion } from '../forms/kind.ts'
import type { z } from '../forms/zod.ts'
import { apiKey } from './api-key.ts'
import type { CallerKind, CallerMethod, CallerTools, Named, Proved } from './method.ts'
import { mtls } from './mtls.ts'
import { socket } from './socket.ts'
import { spiffe } from './spiffe.ts'
import { unixPeer } from './unix-peer.ts'

/** Every way to prove who asks, in the order they are asked: a proof that was shown beats where the caller stands. */
export const callerKinds = {
  'api-key': apiKey,
  mtls,
  spiffe,
  socket,
  'unix-peer': unixPeer,
}

/** Settings of one caller. */
export const callerSettings = kindUnion(callerKinds, 'Caller')
export type CallerSettings = z.infer<typeof callerSettings>

/** Nobody, with a stable code for the answer and a reason for the record. */
export interface Unproved {
  readonly code: ProblemCode
  readonly reason: string
  readonly name?: undefined
}

/** Who asks. At once where that can be looked up. */
export type Identify = (evidence: Evidence) => Caller | Unproved | Promise<Caller | Unproved>

/** What is wrong with callers taken together. */
export function faultsOfCallers(callers: Readonly<Record<string, CallerSettings>>) {
  return eachKind(callers, (kind, named) => [...(kind.faults?.(named) ?? [])]).flat()
}

/** Whether a proof may make this name, although the settings have no caller of it. */
export function mayBeMade(name: string, callers: Readonly<Record<string, CallerSettings>>): boolean {
  return eachKind(callers, (kind, named) => named.some(({ settings }) => kind.mayName?.(name, settings) ?? false)).some(
    Boolean,
  )
}

/** Builds one method for each kind in use, and the one question put to all of them. */
export function buildIdentify(callers: Readonly<Record<string, CallerSettings>>, tools: CallerTools): Identify {
  const methods = eachKind(callers, (kind, named) => ({ proofIs: kind.proofIs, method: kind.build(named, tools) }))
  const shown = methods.filter(({ proofIs }) => proofIs === 'shown').map(({ method }) => method)
  const places = methods.flatMap(({ proofIs, method }) => (proofIs === 'place' ? [method] : standing(method)))
  return function identify(evidence) {
    return settle(askEach(shown, evidence, showsKey(evidence) ? WRONG : NOTHING), (found) => {
      if ('name' in found && found.name !== undefined) return found
      // A Proxy-Authorization is meant for us alone. Where it proves nobody, falling through to where the caller stands
      // would answer a question it did not ask.
      if (evidence.keysAre === 'certain' && found !== NOTHING) return found
      const otherwise = evidence.certificate ? STRANGER : NOTHING
      return settle(askEach(places, evidence, otherwise), (stands) => (stands === NOTHING ? found : stands))
    })
  }
}

/** A method of what is shown, as one of places. */
function standing({ kind, stand }: CallerMethod): CallerMethod[] {
  return stand ? [{ kind, identify: stand }] : []
}

const NOTHING: Unproved = { code: 'caller-unknown', reason: 'no proof' }
/** Also where a caller could be known by no certificate at all: one was shown. */
const STRANGER: Unproved = { code: 'certificate-unknown', reason: 'no caller is known by this certificate' }
const WRONG: Unproved = { code: 'caller-unknown', reason: 'a wrong proof' }

/** The first method that knows the caller; otherwise what the last one that said anything had against the proof. */
function askEach(
  methods: readonly CallerMethod[],
  evidence: Evidence,
  otherwise: Unproved,
): Caller | Unproved | Promise<Caller | Unproved> {
  const [method, ...rest] = methods
  if (!method) return otherwise
  return settle(method.identify(evidence), (finding) => {
    if (finding === 'silent') return askEach(rest, evidence, otherwise)
    if (finding === 'wrong') return askEach(rest, evidence, WRONG)
    if (finding.caller !== undefined) return callerOf(finding, method.kind)
    return askEach(rest, evidence, { code: finding.wrong, reason: finding.reason })
  })
}

function callerOf({ caller: name, groups, details }: Proved, method: string): Caller {
  return { name, method, ...(groups && { groups }), ...(details && { details }) }
}

/** Goes on at once with what is there at once: a key is looked up for every request, and none should wait for nothing. */
function settle<A, B>(value: A | Promise<A>, goOn: (value: A) => B | Promise<B>): B | Promise<B> {
  return value instanceof Promise ? value.then(goOn) : goOn(value)
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
