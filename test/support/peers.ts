import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'

/** A bare TCP server behind an unopened tunnel. It leaves its side open when the other one ends. */
export interface Peer {
  readonly port: number
  /** The connections that it has accepted, in order. */
  readonly sockets: readonly Socket[]
  close(): Promise<void>
}

/** Starts one; `serve` is called with each connection. `listen`: somewhere else. */
export async function startPeer(
  serve: (socket: Socket) => void = () => undefined,
  listen: (server: Server) => void = (server) => void server.listen(0, '127.0.0.1'),
): Promise<Peer> {
  const sockets: Socket[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket.on('error', () => undefined))
    serve(socket)
  })
  listen(server)
  if (!server.listening) await once(server, 'listening')
  return {
    // A server on TCP has an address of this shape.
    port: (server.address() as { port: number }).port,
    sockets,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Reads a socket to its end. `clean`: by an end, and not by a break. */
export async function drain(socket: Socket): Promise<{ readonly bytes: Buffer; readonly isClean: boolean }> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).resume()
  const isClean = await new Promise<boolean>((resolve) => {
    // Without a byte before it, the end comes although nobody reads.
    if (socket.readableEnded) resolve(true)
    socket.once('end', () => resolve(true)).once('error', () => resolve(false))
    socket.once('close', () => resolve(false))
  })
  return { bytes: Buffer.concat(chunks), isClean }
}

/** How long until it is closed, in ms. */
export async function closing(socket: Socket): Promise<number> {
  const before = performance.now()
  socket.resume()
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
  return performance.now() - before
}
