import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** A TCP way to a server that can be cut without anybody being told: neither FIN nor RST, just silence. */
export interface Partition {
  readonly port: number
  /** From now on nothing arrives, either way. Connections are still accepted, as by a kernel in between. */
  cut(): void
  /** New connections work again. Old ones have missed bytes, and stay silent for ever. */
  heal(): void
  close(): Promise<void>
}

/** Starts one in front of a port of this machine. */
export async function startPartition(target: number): Promise<Partition> {
  const sockets = new Set<Socket>()
  const links = new Set<{ isCut: boolean }>()
  let isCut = false
  const server = createServer((near) => {
    const link = { isCut }
    links.add(link)
    const far = connect(target, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('error', () => undefined)
      from.on('data', (chunk) => link.isCut || to.write(chunk))
      from.on('close', () => link.isCut || to.destroy())
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    // A server on TCP has an address of this shape.
    port: (server.address() as { port: number }).port,
    cut() {
      isCut = true
      for (const link of links) link.isCut = true
    },
    heal() {
      isCut = false
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
