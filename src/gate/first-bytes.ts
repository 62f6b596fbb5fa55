import type { Socket } from 'node:net'
import { parseHost } from '../core/host.ts'
import { Problem } from '../core/problem.ts'
import type { FirstFlight } from '../wire/first-flight.ts'

/** How long a caller has to begin, and to finish, a TLS handshake. In ms. */
export const HANDSHAKE_MS = 10_000
/** How long a caller has to read an alert and close. In ms. */
const LINGER_MS = 500

/** A fatal alert, for a peer whose handshake ends before it began. @see RFC 8446 section 6 */
const ALERTS = { unrecognizedName: 112, decodeError: 50, illegalParameter: 47 } as const

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

function unfit(reason: string, alert?: keyof typeof ALERTS): UnfitFlight {
  const bytes = alert && Buffer.from([21, 3, 3, 0, 2, 2, ALERTS[alert]])
  return { problem: new Problem('tunnel-unfit', { reason }), alert: bytes }
}
