import type { StoredCaller } from '../core/holdings.ts'
import { steadyTime } from '../core/steady-time.ts'
import { type Dialled, kindUnion } from '../forms/kind.ts'
import type { z } from '../forms/zod.ts'
import { apiKey } from './api-key.ts'
import { storedKeys } from './api-key-stored.ts'
import { FailureLimit } from './failures.ts'
import { type CallerNames, createIdentify, type Identify } from './identify.ts'
import { jwt } from './jwt.ts'
import { kubernetes } from './kubernetes.ts'
import type { CallerKind, CallerMethod, CallerTools, Named } from './method.ts'
import { mtls } from './mtls.ts'
import { socket } from './socket.ts'
import { spiffe } from './spiffe.ts'
import { unixPeer } from './unix-peer.ts'

/** Every way to prove who asks, in the order they are asked: a proof that was shown beats where the caller stands. */
export const callerKinds = {
  'api-key': apiKey,
  jwt,
  kubernetes,
  mtls,
  spiffe,
  socket,
  'unix-peer': unixPeer,
}

/** Settings of one caller. */
export const callerSettings = kindUnion(callerKinds, 'Caller')
export type CallerSettings = z.infer<typeof callerSettings>

/** Whether a caller of this kind may have shown a token, which can then be exchanged. */
export function readsTokens(kind: string): boolean {
  const all: Readonly<Record<string, Pick<CallerKind<z.ZodObject>, 'readsTokens'>>> = callerKinds
  return Object.hasOwn(all, kind) && all[kind]?.readsTokens === true
}

/** The servers that are asked about proofs of this caller. */
export function dialledByCaller(settings: CallerSettings): Dialled {
  const kind: Pick<CallerKind<z.ZodObject>, 'dials'> = callerKinds[settings.kind]
  return kind.dials?.(settings) ?? []
}

/** What is wrong with callers taken together. */
export function faultsOfCallers(callers: Readonly<Record<string, CallerSettings>>) {
  return eachKind(callers, (kind, named) => [...(kind.faults?.(named) ?? [])]).flat()
}

/** Builds one method for each kind in use, and the one question put to all of them. */
export function buildIdentify(
  callers: Readonly<Record<string, CallerSettings>>,
  tools: CallerTools,
  stored: readonly StoredCaller[] = [],
): Identify {
  return buildCallers(callers, tools)(stored)
}

/**
 * The same for callers that come and go while Sallyport runs: what is returned is called anew with each change of the
 * store, and costs an index of the stored keys. All else is built once: what is known of tokens, keys and failures stays.
 */
export function buildCallers(
  callers: Readonly<Record<string, CallerSettings>>,
  tools: CallerTools,
): (stored: readonly StoredCaller[]) => Identify {
  const methods = eachKind(callers, (kind, named) => ({ kind, method: kind.build(named, tools) }))
  const shown = methods.filter(({ kind }) => kind.proofIs === 'shown').map(({ method }) => method)
  const places = methods.flatMap(({ kind, method }) => (kind.proofIs === 'place' ? [method] : standing(method)))
  const readsAny = methods.some(({ kind }) => kind.readsTokens)
  const failures = new FailureLimit(tools.clock)
  const now = steadyTime(tools.clock)
  const makers = makersAmong(callers)
  const isDeclared = (name: string) => Object.hasOwn(callers, name)
  function settingsBehind(by: string, method: string): object | undefined {
    const settings = isDeclared(by) ? callers[by] : undefined
    if (settings?.kind !== method) return undefined
    const kind: Pick<CallerKind<z.ZodObject>, 'isAskedAgain'> = callerKinds[settings.kind]
    return kind.isAskedAgain ? undefined : settings
  }
  return function identifyWith(stored) {
    const keys = stored.length === 0 ? [] : [storedKeys(stored, { now, isDeclared })]
    const names = namesAmong([...Object.keys(callers), ...stored.map(({ name }) => name)], makers)
    // The settings' own keys come first: what is declared is not to be taken over.
    const [own, others] = [shown.filter(isOfKeys), shown.filter((method) => !isOfKeys(method))]
    const all = [...own, ...keys, ...others]
    return createIdentify({ shown: all, places, names, failures, readsTokens: readsAny, settingsBehind })
  }
}

function isOfKeys({ kind }: CallerMethod): boolean {
  return kind === 'api-key'
}

/** A method of what is shown, as one of places. */
function standing({ kind, stand }: CallerMethod): CallerMethod[] {
  return stand ? [{ kind, identify: stand }] : []
}

function namesAmong(all: readonly string[], makers: readonly Maker[]): CallerNames {
  const known = new Set(all)
  return {
    isKnown: (name) => known.has(name),
    isAmbiguous(name, madeBy) {
      if (makers.length < 2) return false
      const voucher = makers.find(({ caller }) => caller === madeBy)?.voucher
      return makers.some((other) => other.voucher !== voucher && other.mayName(name))
    },
  }
}

/** A caller of the settings whose proofs make names. */
interface Maker {
  readonly caller: string
  /** What may be one of the names they make. */
  readonly sample: string | undefined
  readonly kind: string
  /** Who vouches for those names. */
  readonly voucher: string
  mayName(name: string): boolean
}

type Callers = Readonly<Record<string, CallerSettings>>

/** Each grant asks for them: to make them anew for each of 2000 took 5 s. Settings are never changed in place. */
const makersKnown = new WeakMap<Callers, readonly Maker[]>()

function makersAmong(callers: Callers): readonly Maker[] {
  const makers = makersKnown.get(callers) ?? makersOf(callers)
  makersKnown.set(callers, makers)
  return makers
}

function makersOf(callers: Callers): readonly Maker[] {
  return Object.entries(callers).flatMap(([caller, settings]) => {
    const kind: CallerKind<z.ZodObject> = callerKinds[settings.kind]
    const voucher = kind.nameMaker?.(settings)
    if (voucher === undefined) return []
    const mayName = (name: string) => kind.mayName?.(name, settings) === true
    const sample = 'name' in settings ? settings.name?.replace(/\{[^{}]*\}/g, 'x') : undefined
    return [{ caller, sample, kind: settings.kind, voucher: `${settings.kind} ${voucher}`, mayName }]
  })
}

/** Pairs of callers whose proofs could make one name, though others vouch for them: such a name is refused. */
export function overlapsOf(callers: Callers) {
  const makers = makersAmong(callers)
  return makers.flatMap(({ caller, voucher, sample, mayName }) =>
    makers
      .filter((other) => other.voucher !== voucher && sample !== undefined && mayName(sample) && other.mayName(sample))
      .map((other) => ({ caller, other: other.caller, sample })),
  )
}

/**
 * How a caller of this name would prove itself: the kind of the caller that the settings name so, or of those whose proofs
 * may make the name. Undefined: nobody goes by it.
 */
export function kindOfCaller(name: string, callers: Callers): string | undefined {
  const makers = makersAmong(callers)
  if (Object.hasOwn(callers, name)) {
    return makers.some(({ caller }) => caller === name) ? undefined : callers[name]?.kind
  }
  return makers.find(({ mayName }) => mayName(name))?.kind
}

/** The settings behind a name: of the caller that the settings name so, or of the one whose proofs may make the name. */
export function settingsOfCaller(name: string, callers: Callers): CallerSettings | undefined {
  const makers = makersAmong(callers)
  const isOwn = Object.hasOwn(callers, name) && !makers.some(({ caller }) => caller === name)
  const caller = isOwn ? name : makers.find(({ mayName }) => mayName(name))?.caller
  return caller === undefined ? undefined : callers[caller]
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
