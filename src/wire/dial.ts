import { type BlockList, isIP, type Socket } from 'node:net'
import type { SecureContext, TLSSocket } from 'node:tls'
import type { buildConnector } from 'undici'
import { parseHost } from '../core/host.ts'
import { Problem } from '../core/problem.ts'
import { canonicalAddress, classify, isAllowed } from './address.ts'
import { type Deadline, startDeadline } from './deadline.ts'
import type { SocketPlace } from './original-destination.ts'
import type { NameResolver } from './resolve.ts'
import { connectTcp } from './tcp.ts'
import { secure } from './tls.ts'

/** Where to dial, and on what terms. */
export interface Destination {
  /** Canonical host name: used for DNS, SNI and the certificate check alike. */
  readonly host: string
  readonly port: number
  /** `'plaintext'` only where a setting named unsafe says so. */
  readonly tls: SecureContext | 'plaintext'
  /** ALPN names to offer; `http/1.1` without it. The socket's `alpnProtocol` says what the peer chose. */
  readonly protocols?: readonly string[]
  /** Ranges that may be dialled although they are private. */
  readonly allowPrivate: BlockList
  /** For name resolution, TCP and TLS together. */
  readonly timeoutMs: number
}

/** The only way out of the house. */
export interface Dialer {
  /**
   * Resolves once, classifies every address, connects to one that passed, proves the peer's name. The socket has an
   * error listener already, and no half-open mode: a tunnel sets `allowHalfOpen` itself.
   * @throws Problem `upstream-unresolved`, `address-not-allowed`, `loop-detected`, `upstream-unreachable`,
   *   `upstream-untrusted`, `upstream-timeout`; the signal's own reason when that aborts
   */
  dial(to: Destination, signal?: AbortSignal): Promise<Socket | TLSSocket>
  /** The same as a `connect` option of undici's Agent, Pool and Client; the origin's own host and port are ignored. */
  connector(to: Destination): buildConnector.connector
  /**
   * Whether a connection dialled here, and still open, goes from there to there: what comes in as such is our own. By both ends:
   * the kernel gives one port to several sockets, also of several users, as long as they are connected to other places. The
   * addresses are in their canonical spelling.
   */
  isOwnSocket(from: SocketPlace, to: SocketPlace): boolean
}

interface Parts {
  readonly resolver: NameResolver
  /**
   * Whether a door of ours listens there: dialling it would go round in circles, or reach the admin door. The address is
   * in its canonical spelling.
   */
  readonly isOwnListener?: (address: string, port: number) => boolean
}

/** A dialer without memory: no address, socket or TLS session is kept from one dial to the next (CVE-2026-48934). */
export function createDialer({ resolver, isOwnListener = () => false }: Parts): Dialer {
  const sockets = new Set<string>()
  async function vet(to: Destination): Promise<readonly string[]> {
    const addresses = await addressesOf(to.host, resolver)
    const allowed = addresses.filter((address) => isAllowed(address, to.allowPrivate))
    if (allowed.length === 0) throw notAllowed(to.host, addresses)
    const own = allowed.find((address) => isOwnListener(address, to.port))
    if (own !== undefined)
      throw new Problem('loop-detected', { reason: `${to.host} is our own listener at ${own}:${to.port}` })
    return allowed
  }

  async function open(to: Destination, deadline: Deadline): Promise<Socket | TLSSocket> {
    const { host, port, tls, protocols } = to
    const addresses = await deadline.race(vet(to))
    const socket = await connectTcp({ host, port, addresses, signal: deadline.signal })
    keepPlaces(socket, sockets)
    if (tls === 'plaintext') return socket
    return secure(socket, { host, context: tls, signal: deadline.signal, ...(protocols && { protocols }) })
  }

  async function dial(to: Destination, signal?: AbortSignal): Promise<Socket | TLSSocket> {
    const reason = `${to.host}:${to.port} took more than ${to.timeoutMs} ms to connect`
    const deadline = startDeadline({ ms: to.timeoutMs, reason, signal })
    try {
      return await open(to, deadline)
    } finally {
      deadline.end()
    }
  }

  async function answer(to: Destination, callback: buildConnector.Callback): Promise<void> {
    let socket: Socket | TLSSocket
    try {
      socket = await dial(to)
    } catch (error) {
      // `dial` throws Problems; whatever else there is, Node throws as an Error.
      return callback(error as Error, null)
    }
    callback(null, socket)
  }

  return {
    dial,
    connector: (to) => (_options, callback) => void answer(to, callback),
    isOwnSocket: (from, to) => sockets.has(written(from, to)),
  }
}

/** From where to where a socket goes, for as long as it is open. No two that are open do alike. */
function keepPlaces(socket: Socket, sockets: Set<string>): void {
  const { localAddress, localPort, remoteAddress, remotePort } = socket
  const places = written(place(localAddress, localPort), place(remoteAddress, remotePort))
  sockets.add(places)
  if (socket.closed) sockets.delete(places)
  else socket.once('close', () => sockets.delete(places))
}

function place(address = '', port = 0): SocketPlace {
  return { address: canonicalAddress(address), port }
}

function written(from: SocketPlace, to: SocketPlace): string {
  return `${from.address} ${from.port} ${to.address} ${to.port}`
}

/** A literal stands for itself; anything that is not in its canonical spelling is not asked about at all (E01). */
async function addressesOf(host: string, resolver: NameResolver): Promise<readonly string[]> {
  if (parseHost(host) !== host)
    throw new Problem('address-not-allowed', { reason: 'the host is not in canonical form' })
  const literal = host.replace(/^\[|\]$/g, '')
  const addresses = isIP(literal) ? [literal] : await resolver.resolve(host)
  return addresses.map(canonicalAddress)
}

function notAllowed(host: string, addresses: readonly string[]): Problem {
  const classes = addresses.map((address) => `${address} (${classify(address)})`)
  return new Problem('address-not-allowed', { reason: `${host} is at ${classes.join(', ')}` })
}
