import { once } from 'node:events'
import type { Socket } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { open } from './raw-client.ts'

/** A CONNECT and what the door said to it. */
export interface Tunnel {
  readonly socket: Socket
  readonly status: number
  /** Head and body of the answer. */
  readonly text: string
}

interface Options {
  /** Header lines, each with its CR LF. */
  readonly fields?: string
  /** Bytes in the same packet, behind the head. */
  readonly early?: Buffer | string
  readonly version?: string
}

/** Asks a door for a tunnel to `host:port`; resolves with its answer, the socket paused behind it. */
export async function openTunnel(
  address: string,
  target: string,
  { fields = '', early = '', version = '1.1' }: Options = {},
): Promise<Tunnel> {
  const socket = open(address)
  socket.on('error', () => undefined)
  const head = `CONNECT ${target} HTTP/${version}\r\n${version === '1.1' ? `Host: ${target}\r\n` : ''}${fields}\r\n`
  socket.write(Buffer.concat([Buffer.from(head, 'latin1'), Buffer.from(early)]))
  const text = await readHead(socket)
  return { socket, text, status: Number(text.slice(9, 12)) }
}

/** Up to the end of a 200's head, or to the end of anything else. */
function readHead(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0)
    const done = () => {
      socket.off('data', take).off('close', done)
      resolve(bytes.toString('latin1'))
    }
    const take = (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk])
      const end = bytes.indexOf('\r\n\r\n')
      if (end === -1 || !bytes.toString('latin1', 9, 12).startsWith('200')) return
      socket.pause()
      if (bytes.length > end + 4) socket.unshift(bytes.subarray(end + 4))
      bytes = bytes.subarray(0, end + 4)
      done()
    }
    socket.on('data', take).once('close', done)
  })
}

/** TLS in a tunnel, as a client that trusts `ca`. Rejects with the handshake's error. */
export async function secureTunnel(socket: Socket, servername: string, options: ConnectionOptions): Promise<TLSSocket> {
  const secured = connect({ socket, servername, ...options })
  await once(secured, 'secureConnect')
  secured.on('error', () => undefined)
  return secured
}

/** Sends bytes over an open connection and reads until `until`, or until it is closed. */
export function talk(
  socket: Socket,
  bytes: string | Buffer,
  until: RegExp,
  deadlineMs = 15_000,
): Promise<{ readonly text: string; readonly closed: boolean }> {
  return new Promise((resolve) => {
    let text = ''
    const done = (closed: boolean) => {
      clearTimeout(timer)
      socket.off('data', take)
      resolve({ text, closed })
    }
    const take = (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (until.test(text)) done(false)
    }
    const timer = setTimeout(() => done(false), deadlineMs)
    // A tunnel is paused behind the 200, and a listener alone does not set it going again.
    socket.on('data', take).resume()
    if (socket.destroyed) done(true)
    socket.once('close', () => done(true))
    socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  })
}
