import type { Server } from 'node:http'
import type { Socket } from 'node:net'

interface Closing {
  readonly deadlineMs: number
  /** Whether nothing is being answered any more. */
  isIdle(): boolean
  readonly sockets: ReadonlySet<Socket>
}

const POLL_MS = 20

/**
 * Closes an HTTP server: no new connections at once, idle ones at once, busy ones when their answer is out, and at the
 * deadline whatever is left. Node's own `close` forgets sockets that have switched protocols.
 */
export async function closeServer(server: Server, { deadlineMs, isIdle, sockets }: Closing): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  const deadline = performance.now() + deadlineMs
  while (!isIdle() && performance.now() < deadline) {
    server.closeIdleConnections()
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
  server.closeIdleConnections()
  for (const socket of sockets) socket.destroySoon()
  const late = setTimeout(() => sockets.forEach((socket) => socket.destroy()), POLL_MS * 5)
  await closed
  clearTimeout(late)
}
