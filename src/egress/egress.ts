import { isIP } from 'node:net'
import { dialledBySink } from '../audit/registry.ts'
import { dialledByCaller } from '../callers/registry.ts'
import { HostTable } from '../core/host-table.ts'
import { dialledBySource } from '../credentials/registry.ts'
import type { Dialled } from '../forms/kind.ts'
import { allowlistOf, compileDeclared } from '../settings/policy.ts'
import type { Settings } from '../settings/schema.ts'
import { dialledByTraces } from '../tracing/open.ts'
import { addressesOf, type Need, type NeedOf, together } from './need.ts'
import { type Resolver, resolverOf } from './resolver.ts'

/** What of the network an instance with these settings needs, and nothing else. */
export interface Egress {
  /** TCP. One for each host and port, in the order of names. */
  readonly needs: readonly Need[]
  /** Those that the settings name; undefined: whichever the machine or the cluster has. */
  readonly resolvers: readonly Resolver[] | undefined
  /** False where every name has its address in the settings. */
  readonly asksDns: boolean
  /** What a person has to know before relying on it; each is a sentence. */
  readonly notes: readonly string[]
}

/** What settings alone do not say. */
export interface Besides {
  /** The server of the store, which stands in a secret. */
  readonly store?: Place | undefined
  /** What else is to be reached. */
  readonly also: readonly Place[]
  readonly resolvers?: readonly Resolver[] | undefined
}

/** A server by name and port. */
export interface Place {
  readonly host: string
  readonly port: number
}

/** Reads off the settings where an instance goes. Pure. */
export function egressOf(settings: Settings, { store, also, resolvers }: Besides): Egress {
  const notes: string[] = []
  const found = [
    ...upstreamNeeds(settings, notes),
    ...ownNeeds(settings, notes),
    ...(store ? [{ ...store, why: 'store (PostgreSQL)', allowPrivate: 'any' } as const] : []),
    // A name is let out to public addresses alone: who means another one says which.
    ...also.map(
      (place) => ({ ...place, why: 'named by --also', allowPrivate: isIP(place.host) === 0 ? [] : 'any' }) as const,
    ),
  ]
  const needs = together(found, settings.dns.hosts)
  return {
    needs,
    resolvers: resolvers ?? settings.dns.servers?.map(resolverOf),
    asksDns: needs.some(({ addresses }) => addresses === undefined),
    notes: [...new Set(notes)],
  }
}

/**
 * Names that are on the allowlist and of a connection, as `decide` finds them: of two patterns that meet, the narrower one,
 * at the port of the connection that a name below it belongs to. A table finds a pattern as it finds a name, because "*" is
 * one more label to it.
 */
function upstreamNeeds(settings: Settings, notes: string[]): NeedOf[] {
  const { allowlist, places } = compileDeclared(settings)
  const { hosts: allowed, mode } = allowlistOf(settings)
  const named = Object.values(settings.connections).flatMap(({ hosts }) => hosts)
  if (mode === 'report')
    notes.push('The allowlist is in report mode, which lets everything out: this is as if it were enforced.')
  return [...new Set([...allowed, ...named])].flatMap((host): NeedOf[] => {
    const place = places.find(host)
    if (allowlist.find(host) === undefined) {
      const isInPart = allowed.some((other) => new HostTable([[host, true]]).find(other))
      return isInPart ? [] : tell(notes, `${host} is not on the allowlist: left out.`)
    }
    if (!place) return tell(notes, `No connection leads to ${host}, which is on the allowlist: left out.`)
    const { disabled = false, allowPrivate = [] } = settings.connections[place.name] ?? {}
    if (disabled) return tell(notes, `Connection ${place.name} is switched off: left out.`)
    return [{ host, port: place.port, why: `connection ${place.name}`, allowPrivate }]
  })
}

/** Whom Sallyport asks and tells by itself: for tokens, for keys, about callers, of what has happened. */
function ownNeeds({ connections, callers, admin, audit, traces }: Settings, notes: string[]): NeedOf[] {
  const on = Object.entries(connections).filter(([, { disabled }]) => !disabled)
  const rows: readonly (readonly [whose: string, dialled: Dialled])[] = [
    ...on.map(([name, { credential }]) => [`of ${name}`, dialledBySource(credential)] as const),
    ...Object.entries(callers).map(([name, caller]) => [`of caller ${name}`, dialledByCaller(caller)] as const),
    ...Object.entries(admin?.operators ?? {}).map(
      ([name, { proof }]) => [`of operator ${name}`, dialledByCaller(proof)] as const,
    ),
    ...audit.sinks.map((sink) => ['of the audit', dialledBySink(sink)] as const),
    ...(traces ? [['of traces', dialledByTraces(traces)] as const] : []),
  ]
  return rows.flatMap(([whose, dialled]) => needsOf(whose, dialled, notes))
}

function needsOf(whose: string, dialled: Dialled, notes: string[]): NeedOf[] {
  if (dialled === 'unknown')
    return tell(notes, `The program ${whose} may ask servers of its own: name them by --also HOST:PORT.`)
  return dialled.map(({ url, what, allowPrivate, isSignpost }) => {
    const { hostname, port, protocol, host } = new URL(url)
    if (isSignpost)
      tell(notes, `${host}, ${what} ${whose}, says where to ask: if that is another host, name it by --also HOST:PORT.`)
    return {
      host: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port) || (protocol === 'http:' ? 80 : 443),
      why: `${what} ${whose}`,
      allowPrivate,
    }
  })
}

function tell(notes: string[], note: string): NeedOf[] {
  notes.push(note)
  return []
}

/** The same with the addresses that names have just now, by name; what is pinned in the settings stays as it is. */
export function withAddresses(egress: Egress, found: ReadonlyMap<string, readonly string[]>): Egress {
  const needs = egress.needs.map((need) => {
    const now = found.get(need.host)
    if (need.addresses || !now) return need
    // DNS turns them round: the same ones are to be the same policy.
    return { ...need, addresses: addressesOf(need, now).toSorted(byFamily), isOfToday: true }
  })
  const lost = needs.filter(({ addresses, isOfToday }) => isOfToday && addresses?.length === 0)
  const refused = lost.map(({ host }) => `${host} has no address that may be dialled: see allowPrivate.`)
  return { ...egress, needs, notes: [...egress.notes, ...refused] }
}

/** IPv4 first, as people do. */
function byFamily(one: string, other: string): number {
  return isIP(one) - isIP(other) || one.localeCompare(other)
}
