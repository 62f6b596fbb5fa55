import type { Socket } from 'node:net'
import { parseHost, parseName } from '../core/host.ts'
import { Problem } from '../core/problem.ts'
import type { FirstFlight } from '../wire/first-flight.ts'

/** How long a caller has to begin, and to finish, a TLS handshake. In ms. */
export const HANDSHAKE_MS = 10_000
/** How long a caller has to read an alert and close. In ms. */
const LINGER_MS = 500

/** A fatal alert, for a peer whose handshake ends before it began. @see RFC 8446 section 6 */
const ALERTS = {
  unrecognizedName: 112,
  decodeError: 50,
  illegalParameter: 47,
  accessDenied: 49,
  internalError: 80,
} as const

/** Why the first bytes of a tunnel are not fit for it, and how TLS says so. */
export interface UnfitFlight {
  readonly problem: Problem
  /** Bytes of a TLS record; undefined where the peer speaks something else. */
  readonly alert: Buffer | undefined
}

/**
 * Judges the beginning of a tunnel: TLS, for the very host that CONNECT named. Where we answer TLS ourselves an Encrypted
 * Client Hello hides nothing, and clients send false ones at random (GREASE); in an unopened tunnel it may name any host.
 * @see RFC 6066 section 3
 */
export function faultOfFlight(flight: FirstFlight, host: string, isOpened: boolean): UnfitFlight | undefined {
  if (flight.kind !== 'tls') return unfit(REASONS[flight.kind], flight.kind === 'malformed' ? 'decodeError' : undefined)
  const { serverName, encrypted } = flight.hello
  if (serverName === undefined) return unfit('the ClientHello names no server', 'unrecognizedName')
  if (parseHost(serverName) !== host) return unfit('the ClientHello names another server', 'unrecognizedName')
  if (encrypted && !isOpened) return unfit('the ClientHello may name another server, encrypted', 'illegalParameter')
  return undefined
}

/**
 * The host of a connection that nothing but its first flight names, as a CONNECT would have named it. An address as a server
 * name is against RFC 6066, and would let the app choose where we dial.
 */
export function hostOfFlight(flight: FirstFlight): string | UnfitFlight {
  if (flight.kind !== 'tls')
    return unnamed(REASONS[flight.kind], flight.kind === 'malformed' ? 'decodeError' : undefined)
  const { serverName } = flight.hello
  if (serverName === undefined) return unnamed('the ClientHello names no server', 'unrecognizedName')
  return parseName(serverName) ?? unnamed('the server name of the ClientHello is no host name', 'unrecognizedName')
}

/** How TLS tells a client, before its handshake has begun, that it will not be served. */
export function alertOf({ row: { status } }: Problem): Buffer {
  return alert(status >= 500 ? 'internalError' : 'accessDenied')
}

/** Ends a tunnel before it began: with the alert where there is one, and in time where nobody reads it. */
export function closeUnfit(socket: Socket, { alert }: Pick<UnfitFlight, 'alert'>): void {
  if (!alert) return void socket.destroy()
  socket.end(alert)
  // Bytes left unread would make a reset of the close, and the alert might be lost.
  socket.resume()
  const late = setTimeout(() => socket.destroy(), LINGER_MS).unref()
  socket.once('close', () => clearTimeout(late))
}

const REASONS: Readonly<Record<Exclude<FirstFlight['kind'], 'tls'>, string>> = {
  other: 'the first bytes are not TLS',
  malformed: 'the ClientHello is malformed',
  silent: 'no whole ClientHello in time',
  closed: 'closed before a whole ClientHello',
}

function unfit(reason: string, name?: keyof typeof ALERTS): UnfitFlight {
  return { problem: new Problem('tunnel-unfit', { reason }), alert: name && alert(name) }
}

function unnamed(reason: string, name?: keyof typeof ALERTS): UnfitFlight {
  return { problem: new Problem('destination-unnamed', { reason }), alert: name && alert(name) }
}

function alert(name: keyof typeof ALERTS): Buffer {
  return Buffer.from([21, 3, 3, 0, 2, 2, ALERTS[name]])
}
