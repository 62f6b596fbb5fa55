import type { Socket } from 'node:net'
import type { Peer } from '../core/ask.ts'
import { classify, peerNetwork } from './address.ts'

interface Comer {
  readonly socket: Socket
  /** Whose it is, as far as that can be told: `peerOf`. */
  readonly peer: string
}

/**
 * So many sockets and no more, shared out fairly: where one too many comes, whoever has most of them loses its newest, be that the
 * one that comes. So nobody is kept out by somebody else who holds all there are, and nobody who holds few loses any.
 */
export class Crowd {
  readonly #max: number
  readonly #peers = new Map<string, Set<Socket>>()
  #size = 0

  constructor(max: number) {
    this.#max = max
  }

  /** Lets it in, in the place of another if need be. `'full'`: it is the one too many, and is left for the door to close. */
  admit({ socket, peer }: Comer): 'in' | 'in the place of another' | 'full' {
    const isFull = this.#size >= this.#max
    if (isFull && !this.#displace(peer)) return 'full'
    this.#add(socket, peer)
    return isFull ? 'in the place of another' : 'in'
  }

  #add(socket: Socket, peer: string): void {
    const sockets = this.#peers.get(peer) ?? new Set()
    this.#peers.set(peer, sockets.add(socket))
    this.#size++
    socket.once('close', () => this.#remove(socket, peer))
  }

  /** What was displaced is out at once, and closes later. */
  #remove(socket: Socket, peer: string): void {
    const sockets = this.#peers.get(peer)
    if (!sockets?.delete(socket)) return
    this.#size--
    if (sockets.size === 0) this.#peers.delete(peer)
  }

  /** Closes the newest socket of whoever has most; false where that is whom this one is for. */
  #displace(peer: string): boolean {
    const [greediest, sockets] = this.#greediest()
    if (greediest === undefined || sockets.size <= (this.#peers.get(peer)?.size ?? 0) + 1) return false
    const newest = [...sockets].at(-1)
    if (!newest) return false
    this.#remove(newest, greediest)
    newest.destroy()
    return true
  }

  #greediest(): readonly [string | undefined, ReadonlySet<Socket>] {
    let most: readonly [string | undefined, ReadonlySet<Socket>] = [undefined, new Set()]
    for (const one of this.#peers) if (one[1].size > most[1].size) most = one
    return most
  }
}

/**
 * Whose a socket is. Of a Unix socket the user, by the kernel, and of TCP of this machine too where the kernel says so. Else the
 * address: all of loopback is one peer, because a process may connect from any address of it.
 */
export function peerOf({
  peer,
  uid = peer?.uid,
  address,
}: {
  readonly peer?: Peer | undefined
  /** Of whoever made the socket at the other end. */
  readonly uid?: number | undefined
  readonly address: string | undefined
}): string {
  if (uid !== undefined) return `uid ${uid}`
  if (address === undefined || classify(address) === 'loopback') return 'this machine'
  return peerNetwork(address)
}
