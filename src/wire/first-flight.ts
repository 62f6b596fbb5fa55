import type { Socket } from 'node:net'
import { type ClientHello, parseClientHello } from './client-hello.ts'

/**
 * What a caller sends first. `tls`: a whole ClientHello; `bytes` counts all that came with it. `other`: certainly not TLS.
 * `silent`: too little to tell in time. `closed`: it ended or broke off before there was enough to tell.
 */
export type FirstFlight =
  | { readonly kind: 'tls'; readonly hello: ClientHello; readonly bytes: number }
  | { readonly kind: 'other' | 'malformed' | 'silent' | 'closed' }

interface Options {
  /** For all of it, not from one byte to the next: a ClientHello may otherwise come at a byte a second (F13). */
  readonly timeoutMs: number
}

/**
 * Reads until it is clear what the first flight is, and gives every byte back: whoever reads next, by a pipe, a TLSSocket
 * or a server's `connection` event, reads from the start, and until then nobody reads. `head`: what came in one packet with
 * the CONNECT; a socket that has ended takes no byte back, and is `closed` whatever the head was.
 *
 * Never rejects. The socket is the caller's to close, and needs an error listener that outlives this.
 */
export function readFirstFlight(socket: Socket, head: Buffer, { timeoutMs }: Options): Promise<FirstFlight> {
  return new Promise((resolve) => {
    let flight = head
    const look = () => {
      for (let chunk = read(socket); chunk; chunk = read(socket)) flight = Buffer.concat([flight, chunk])
      const found = judge(flight)
      if (found) settle(found)
    }
    const leave = () => settle({ kind: 'closed' })
    const late = setTimeout(() => settle({ kind: 'silent' }), timeoutMs)
    const settle = (found: FirstFlight) => {
      clearTimeout(late)
      socket.off('readable', look).off('end', leave).off('close', leave).off('error', ignore)
      if (socket.readable && flight.length > 0) socket.unshift(flight)
      resolve(found)
    }
    socket.on('error', ignore).on('end', leave).on('close', leave)
    if (!socket.readable) leave()
    else if (judge(head)) look()
    else socket.on('readable', look)
  })
}

/** `close` follows, and says all that matters here. */
function ignore(): void {}

function read(socket: Socket): Buffer | null {
  // A socket without an encoding gives Buffers.
  return socket.read() as Buffer | null
}

function judge(flight: Buffer): FirstFlight | undefined {
  const hello = parseClientHello(flight)
  switch (hello) {
    case 'more':
      return undefined
    case 'not-tls':
      return { kind: 'other' }
    case 'malformed':
      return { kind: 'malformed' }
    default:
      return { kind: 'tls', hello, bytes: flight.length }
  }
}
