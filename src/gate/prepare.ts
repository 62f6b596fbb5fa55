import type { Ask } from '../core/ask.ts'
import type { Permit } from '../core/decide.ts'
import type { Waiver } from '../core/waiver.ts'
import type { Credential } from '../credentials/credential.ts'
import { emptied, slotsHold, textInSlot } from '../injections/slot.ts'
import { endToEnd, valuesOf } from '../wire/fields.ts'
import type { Framing } from '../wire/framing.ts'
import type { Connection } from './snapshot.ts'

/** A request as it goes upstream; framing apart, nothing is added after this. */
export interface Prepared {
  /** Path and query. */
  readonly path: string
  readonly fields: readonly string[]
}

interface Materials {
  readonly permit: Permit | Waiver
  readonly ask: Ask
  readonly framing: Framing
  readonly connection: Connection
  readonly credential: Credential | undefined
  readonly pseudonym: string
  /** The fields of our own trace, in place of the caller's; undefined where there are no traces. */
  readonly traced?: readonly string[] | undefined
}

/**
 * Builds the outgoing request fresh from the ask: strips first, injects last. What a caller names in `Connection` is gone
 * before the credential comes in, so no caller can have it stripped (CVE-2021-33197, CVE-2022-31813).
 */
export function prepare({ permit, ask, framing, connection, credential, pseudonym, traced }: Materials): Prepared {
  const { injection } = connection
  const kept = endToEnd(ask.fields, dropsFor(permit, connection, traced !== undefined))
  const fields = ['Host', connection.upstream.authority(permit.host, permit.port), ...kept, 'Via', via(ask, pseudonym)]
  // Where a credential is injected as one of them, it is that, and once.
  if (traced && !(injection && slotsHold(injection)('traceparent'))) fields.push(...traced)
  if (connection.upstream.http2 && takesTrailers(ask)) fields.push('TE', 'trailers')
  if (connection.scrubResponses) fields.push('Accept-Encoding', 'identity')
  if (framing.body === 'length' && framing.length > 0) fields.push('Content-Length', String(framing.length))
  if (!injection) return { path: permit.path + ask.query, fields }
  const empty = emptied(injection, { fields, query: ask.query })
  if (!credential) return { path: permit.path + empty.query, fields: empty.fields }
  const injected = injection.inject(
    {
      fields: empty.fields,
      query: empty.query,
      method: ask.method,
      url: connection.upstream.origin(permit.host, permit.port) + permit.path,
      found: (slot) => textInSlot(slot, ask.fields, ask.query),
    },
    credential,
  )
  return { path: permit.path + injected.query, fields: injected.fields }
}

/** Ours to write, or answered here. */
const OWN = new Set(['host', 'content-length', 'via', 'expect', 'max-forwards'])
/**
 * What a caller could use to be taken for somebody else, or its path or method for another, behind the upstream's own
 * proxies: a rule has judged the path and the method that are sent, and frameworks believe these instead (CVE-2018-14773).
 */
const SPOOFED = new Set([
  'forwarded',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'x-host',
  'x-http-method-override',
  'x-http-method',
  'x-method-override',
])
const SPOOFED_PREFIX = /^x-(?:forwarded|original|rewrite)-/

/** They ask for an answer that nobody can look through: packed, or in parts that have half a credential each. */
const UNSCRUBBABLE = new Set(['accept-encoding', 'grpc-accept-encoding', 'range', 'if-range'])

/** Where a request stands in a trace: ours to say where we have spans. @see W3C Trace Context */
const OWN_TRACE = new Set(['traceparent', 'tracestate'])
/** What else goes along with it tells of the caller's users, as `baggage` does. @see W3C Baggage */
const TRACES = new Set([...OWN_TRACE, 'baggage'])

function dropsFor(permit: Permit | Waiver, connection: Connection, isTraced: boolean): (key: string) => boolean {
  const inSlot = connection.injection && slotsHold(connection.injection)
  // Where we inject, a credential of the caller's own would be a second one; where it showed us a key in the upstream's
  // place, that key is a proof and stays here.
  const dropsAuthorization = connection.injection !== undefined || permit.caller.keyIsProof === true
  const ofTraces = connection.propagateTrace === false ? TRACES : isTraced ? OWN_TRACE : undefined
  return (key) =>
    OWN.has(key) ||
    SPOOFED.has(key) ||
    SPOOFED_PREFIX.test(key) ||
    inSlot?.(key) ||
    ofTraces?.has(key) ||
    (dropsAuthorization && key === 'authorization') ||
    (connection.scrubResponses && UNSCRUBBABLE.has(key))
}

/** gRPC servers ask for it, to find out proxies that know no trailers. It goes out over HTTP/2 alone. */
function takesTrailers({ fields }: Ask): boolean {
  return valuesOf(fields, 'te').some((value) => value.trim().toLowerCase() === 'trailers')
}

/** @see RFC 9110 section 7.6.3 */
function via({ fields }: Ask, pseudonym: string): string {
  return [...valuesOf(fields, 'via'), `1.1 ${pseudonym}`].join(', ')
}
